# For the scripts of bench/: `launch "$0" PROGRAM "$@"` prints the comment at their top for --help, makes
# sure that PROGRAM is built, and says where (GATEHOUSE_BIN, root).
launch() {
    script=$1 program=$2
    case "${3:-}" in
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$script"
        exit 0
        ;;
    esac
    ulimit -n "$(ulimit -H -n)" # as many files as this machine allows
    root=$(cd "$(dirname "$script")/.." && pwd)
    export GATEHOUSE_BIN="${GATEHOUSE_BIN:-$root/build/release/bin}"
    [ -x "$GATEHOUSE_BIN/$program" ] && return
    echo "${script##*/}: there is no $GATEHOUSE_BIN/$program; build it: cmake --preset release && cmake --build build/release" >&2
    exit 2
}
