# One step of building the console in WORK: `packages` (npm ci) or `dist` (npm run build).
function(run what advice)
    execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK}
        RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${output}\n${what} failed in ${WORK}. ${advice}")
    endif()
endfunction()

if(STEP STREQUAL "packages")
    file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json ${SOURCE}/.npmrc DESTINATION ${WORK})
    run("npm ci" "It needs the npm registry; -DGH_CONSOLE=OFF builds without the console."
        ${NPM} ci --no-progress)
else()
    file(REMOVE_RECURSE ${WORK}/src ${WORK}/public ${WORK}/build ${WORK}/dist)
    file(COPY ${SOURCE}/ DESTINATION ${WORK}
        PATTERN node_modules EXCLUDE PATTERN dist EXCLUDE)
    run("npm run build" "" ${NPM} run --silent build)
endif()
file(TOUCH ${WORK}/${STEP}.stamp)
