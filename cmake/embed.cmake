# Writes OUT, the C table of src/api/assets.h, from the files of DIST; with DIST empty from FALLBACK
# alone, as /index.html. The bytes are taken in by the assembler (.incbin): no generated megabytes of
# hexadecimal, and nothing but CMake and the C compiler is needed.
cmake_minimum_required(VERSION 3.25)

set(types
    "html=text/html\\; charset=utf-8" "js=text/javascript\\; charset=utf-8"
    "css=text/css\\; charset=utf-8" "svg=image/svg+xml\\; charset=utf-8" "png=image/png"
    "ico=image/x-icon" "woff2=font/woff2" "txt=text/plain\\; charset=utf-8"
    "webmanifest=application/manifest+json")

# The policy forbids everything that the console does not do. Svelte makes its templates through one
# trusted-types policy of its own; nothing else may turn text into markup.
string(JOIN "; " policy "default-src 'none'" "script-src 'self'" "style-src 'self'"
    "img-src 'self'" "connect-src 'self'" "base-uri 'none'" "form-action 'none'"
    "frame-ancestors 'none'" "require-trusted-types-for 'script'" "trusted-types svelte-trusted-html")

function(type_of file out)
    get_filename_component(extension ${file} LAST_EXT)
    foreach(type ${types})
        if(".${type}" MATCHES "^${extension}=(.*)$")
            string(REPLACE "\\;" ";" found "${CMAKE_MATCH_1}")
            set(${out} "${found}" PARENT_SCOPE)
            return()
        endif()
    endforeach()
    message(FATAL_ERROR "No content type is known for ${file}; add it to ${CMAKE_CURRENT_LIST_FILE}.")
endfunction()

# The bytes of `file` under `name`, in read-only memory.
function(add_blob name file)
    string(APPEND blobs "BLOB(${name}, \"${file}\");\n")
    set(blobs "${blobs}" PARENT_SCOPE)
endfunction()

if(DIST)
    file(GLOB_RECURSE files RELATIVE ${DIST} ${DIST}/*)
    list(FILTER files EXCLUDE REGEX "\\.gz$")
    list(SORT files COMPARE STRING)
else()
    get_filename_component(DIST ${FALLBACK} DIRECTORY)
    get_filename_component(files ${FALLBACK} NAME)
endif()

set(blobs "")
set(rows "")
set(number 0)
foreach(file ${files})
    set(source ${DIST}/${file})
    set(path ${file})
    if(source STREQUAL FALLBACK)
        set(path index.html)
    endif()
    set(immutable false)
    if(path MATCHES "^assets/") # Vite puts a digest of the content into these names
        set(immutable true)
    endif()
    type_of(${file} type)
    file(SHA256 ${source} digest)
    string(SUBSTRING ${digest} 0 32 digest)
    file(SIZE ${source} size)
    add_blob(asset_${number} ${source})
    set(gzip "NULL, 0")
    # Only what is the same for everybody for ever: a page that is compressed is what BREACH starts from.
    if(immutable AND EXISTS ${source}.gz)
        file(SIZE ${source}.gz gzip_size)
        add_blob(asset_${number}_gzip ${source}.gz)
        set(gzip "asset_${number}_gzip, ${gzip_size}")
    endif()
    string(APPEND rows "    {\"/${path}\", \"${type}\", \"\\\"${digest}\\\"\",\n"
        "     asset_${number}, ${size}, ${gzip}, ${immutable}},\n")
    math(EXPR number "${number} + 1")
endforeach()

file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT [=[
/* Made by cmake/embed.cmake. */
#include "api/assets.h"

#define BLOB(name, file)                                             \
    __asm__(".pushsection .rodata.console, \"a\"\n" #name ":\n"      \
            ".incbin \"" file "\"\n.byte 0\n.popsection\n");         \
    extern const uint8_t name[] __attribute__((visibility("hidden")))

@blobs@
const struct gh_asset gh_assets[] = {
@rows@};
const size_t gh_assets_count = sizeof gh_assets / sizeof gh_assets[0];
const char gh_assets_policy[] = "@policy@";
]=])
