# gh_console: the console's files as a C table (src/api/assets.h).
#
# The sources are copied to build/*/console and built there with npm, so that several build folders
# do not share one node_modules and the source tree stays clean. Each step is repeated only when what
# it reads has changed. GH_CONSOLE=OFF needs no Node.js and embeds cmake/no-console.html alone.
option(GH_CONSOLE "Build the web console with npm and embed it" ON)

set(console_source ${CMAKE_SOURCE_DIR}/console)
set(console_work ${CMAKE_BINARY_DIR}/console)
set(console_table ${CMAKE_BINARY_DIR}/console-assets.c)
set(console_dist ${console_work}/dist)

if(GH_CONSOLE)
    find_program(NPM npm)
    if(NOT NPM)
        message(FATAL_ERROR "The web console needs npm (Debian: apt-get install npm); "
            "without it configure with -DGH_CONSOLE=OFF.")
    endif()
    file(GLOB_RECURSE console_files CONFIGURE_DEPENDS
        ${console_source}/src/* ${console_source}/public/* ${console_source}/build/*)
    set(console_packages ${console_source}/package.json ${console_source}/package-lock.json
        ${console_source}/.npmrc)
    list(APPEND console_files ${console_source}/index.html ${console_source}/vite.config.ts
        ${console_source}/svelte.config.js ${console_source}/tsconfig.json)

    add_custom_command(OUTPUT ${console_work}/packages.stamp
        COMMAND ${CMAKE_COMMAND} -DNPM=${NPM} -DSOURCE=${console_source} -DWORK=${console_work}
            -DSTEP=packages -P ${CMAKE_SOURCE_DIR}/cmake/console_build.cmake
        DEPENDS ${console_packages} ${CMAKE_SOURCE_DIR}/cmake/console_build.cmake
        COMMENT "Installing the console's packages" VERBATIM)
    add_custom_command(OUTPUT ${console_work}/dist.stamp
        COMMAND ${CMAKE_COMMAND} -DNPM=${NPM} -DSOURCE=${console_source} -DWORK=${console_work}
            -DSTEP=dist -P ${CMAKE_SOURCE_DIR}/cmake/console_build.cmake
        DEPENDS ${console_files} ${console_work}/packages.stamp
        COMMENT "Building the console" VERBATIM)
    set(console_ready ${console_work}/dist.stamp)

    if(BUILD_TESTING)
        foreach(script check test)
            add_test(NAME console_${script} COMMAND ${NPM} run --silent ${script}
                     WORKING_DIRECTORY ${console_work})
            set_tests_properties(console_${script} PROPERTIES TIMEOUT 300 LABELS unit
                ENVIRONMENT "GATEHOUSE_SOURCE=${CMAKE_SOURCE_DIR}/src")
        endforeach()
    endif()
else()
    set(console_ready ${CMAKE_SOURCE_DIR}/cmake/no-console.html)
    set(console_dist "")
endif()

add_custom_command(OUTPUT ${console_table}
    COMMAND ${CMAKE_COMMAND} -DDIST=${console_dist} -DOUT=${console_table}
        -DFALLBACK=${CMAKE_SOURCE_DIR}/cmake/no-console.html -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${console_ready} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Embedding the console" VERBATIM)
add_library(gh_console STATIC ${console_table})
# Assembly at top level: the link-time optimizer may put a table and the labels it names into two units.
set_target_properties(gh_console PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
target_link_libraries(gh_console PUBLIC gh_flags)
# The bytes are assembler text, whose names a link-time optimiser loses once it cuts the program into parts.
set_target_properties(gh_console PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
# The bytes come in by .incbin, which a compiler cache does not see.
set_source_files_properties(${console_table} PROPERTIES OBJECT_DEPENDS "${console_ready}")
