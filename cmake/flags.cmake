# One place for every compiler and linker flag. `gh_flags` is linked by each room and program.
#   debug    ASan + UBSan      tsan    ThreadSanitizer      release    hardened, -O2
# Assertions stay on in all of them.
add_library(gh_flags INTERFACE)
target_compile_definitions(gh_flags INTERFACE _GNU_SOURCE GH_VERSION="${PROJECT_VERSION}")
target_include_directories(gh_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
target_compile_options(gh_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wformat=2 -Wimplicit-fallthrough -Werror
    -fno-omit-frame-pointer -fno-strict-overflow -fno-delete-null-pointer-checks
    -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

set(GH_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")
if(GH_SANITIZE)
    target_compile_options(gh_flags INTERFACE -O1 -g -fsanitize=${GH_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(gh_flags INTERFACE -fsanitize=${GH_SANITIZE})
else()
    target_compile_options(gh_flags INTERFACE -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
        -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        target_compile_options(gh_flags INTERFACE
            -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr)
        # gcc clears a variable of 64 to 8192 bytes with "rep stos", which takes 10 ns to begin; a message passes
        # eight of them. Link time optimisation wants it told twice.
        include(CheckCCompilerFlag)
        set(GH_CLEARING -mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign)
        check_c_compiler_flag(${GH_CLEARING} GH_HAS_CLEARING)
        if(GH_HAS_CLEARING)
            target_compile_options(gh_flags INTERFACE ${GH_CLEARING})
            target_link_options(gh_flags INTERFACE ${GH_CLEARING})
        endif()
    endif()
    target_link_options(gh_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack,-z,nodlopen
        -Wl,-z,separate-code,--as-needed)
endif()
# Executables are position independent: CMAKE_POSITION_INDEPENDENT_CODE gives -fPIE, this gives -pie.
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
