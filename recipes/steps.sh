#!/usr/bin/env bash
# Sourced by the recipes: steps that are done once. Needs $state with its folders done/ and log/.
# With DRY_RUN set nothing is done: every command is printed instead.
# Threads that wait sleep instead of spinning: on a busy machine training is up to thirty times faster.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
# glibc keeps freed memory, up to 1 GiB, for the next tensor instead of asking the system for fresh pages: training on CPUs takes
# up to a fifth less time, for the same numbers.
export MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_:-1073741824} MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_:-1073741824}

fail() { echo "${recipe:-$(basename "$(dirname "$0")")}: $*" >&2; exit 1; }
# refuse MESSAGE: for settings that cannot be right.
refuse() { (fail "$@") || exit 2; }

# run COMMAND...: for the commands inside a step's function, so that a dry run can print them.
run() {
    [ -n "${DRY_RUN-}" ] || { "$@"; return; }
    local word line=''
    for word in "$@"; do
        [[ $word =~ ^[[:alnum:]_./:=,+@%-]+$ ]] || word=${word@Q}
        line+=" $word"
    done
    echo "${line# }"
}

# step NAME TITLE COMMAND...: appends the command's output to a log, unless it has been done before. The log says when and at
# which commit, done/NAME how long the last sitting took.
step() {
    local name=$1 title=$2 started=$SECONDS
    : "${state:?}"
    shift 2
    if [ -n "${DRY_RUN-}" ]; then
        printf '\n# %s: %s\n' "$name" "$title"
        if [ "$(type -t "$1")" = function ]; then "$@"; else run "$@"; fi
        return
    fi
    [ -e "$state/done/$name" ] && return
    printf '%-12s %s ... ' "$name" "$title"
    local status=0 commit=
    [ ! -e .git ] || commit=" at $(git describe --always --dirty --exclude '*')"
    printf '# %s%s: %s on %s%s\n' "$(date '+%F %T')" "$commit" "$name" "$(uname -n)" \
        "${SLURM_JOB_ID:+, Slurm job $SLURM_JOB_ID}" >> "$state/log/$name.log"
    set +e  # in a condition bash would ignore a failure in the middle of a step
    # Where a time limit sends SIGTERM to every process, the shells wait for the command, which saves before it ends.
    trap : TERM
    (trap : TERM; set -e; "$@") >> "$state/log/$name.log" 2>&1
    status=$?
    set -e
    if [ $status -ne 0 ]; then
        echo "failed"
        fail "$(tail -n 1 "$state/log/$name.log") (the whole log: $state/log/$name.log)"
    fi
    echo "$((SECONDS - started)) s" | tee "$state/done/$name"
}

# at_once FUNCTION ARGUMENT...: calls a function with each argument, all at the same time; fails if one does.
at_once() {
    local argument call calls=() status=0
    for argument in "${@:2}"; do "$1" "$argument" & calls+=($!); done
    for call in "${calls[@]}"; do wait "$call" || status=$?; done
    return $status
}
