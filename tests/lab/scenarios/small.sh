#!/bin/bash
# small: a snapshot, the agent killed in the middle of the next, a revert: RAM and disks agree. What tests/run does.
# where: dom0
# kinds: pv
. ./lib.sh
# xensnap has no part in this yet: where libxl's own time limits are too short for the machine, nothing can be seen.
out=$(new_guest g "$1") || { echo "lab: no guest can be started here, by xl alone: ${out//$'\n'/ }"; exit 3; }
guestcmd g "load on" >/dev/null
mark g before
does 'a VM snapshot is taken' vm-snapshot-create g --name one
check 'the guest goes on, RAM and disks agree' agrees g
mark g after

# Killed while memory is being written; systemd starts it again, and it settles what was open.
xensnap vm-snapshot-create g --name two --no-wait >/tmp/two.id 2>&1
id=$(tr -d '"' </tmp/two.id)
soon 30 pgrep -f 'libxl-save-helper|xl save' || failed 'no saving process was seen'
kill -9 "$(systemctl show -P MainPID xensnapd)"
check 'the agent is back after kill -9 in a save' soon 60 agent_up
check 'the guest runs on' soon 60 running g
check 'it counts on, and agrees' soon 120 agrees g
soon 120 eval '[ "$(xensnap operation show "$id" --json 2>/dev/null | jq -r .state | grep -cE "done|failed|cancelled|refused")" = 1 ]'
check 'nothing is left of it' is_tidy g

does 'revert' vm-snapshot-revert g one
check 'the reverted guest answers' up g
is 'RAM and both disks are those of the snapshot' "$(marks g)" 'before before before'
check 'they agree, and it counts on' agrees g
check 'name and UUID are as before' same_uuid g
does 'delete' vm-snapshot-delete g one
check 'nothing is left over' is_tidy g
finish
