#!/bin/bash
# nolibxl: a host whose libxl cannot be loaded: xl alone does what it can, what is missing is told, what cannot be is refused before anything is touched.
# where: dom0
# kinds: pv hvm
. ./lib.sh
program=/usr/libexec/xensnap/xensnap-libxl
without() { mv $program /root/moved-libxl && restart_agent; }
with() { [ -e $program ] || mv /root/moved-libxl $program; restart_agent; }
trap with EXIT
new_guest g "$1" || finish
guestcmd g "load on" >/dev/null
check 'the agent starts without it' without
mark g one
plan=$(xensnap vm-snapshot-create g --name dry --dry-run 2>&1)
grep -qi libxl <<<"$plan" && ok "a plan tells what is missing ($(grep -i libxl <<<"$plan" | head -1 | cut -c1-200))" || failed "the plan does not tell that libxl is missing: $plan"
refused 'live memory' 18 libxl vm-snapshot-create g --name live --memory live
does 'a snapshot by xl save' vm-snapshot-create g --name one
check 'the guest goes on and agrees' agrees g
mark g two
does 'a disk snapshot' disk-snapshot-create g --name d

begin vm-snapshot-create g --name killed
soon 60 saving || failed 'no saving process was seen'
systemctl kill --kill-whom=main -s KILL xensnapd
check 'the agent is back after kill -9 in a save' soon 90 agent_up
ends
echo "it ended $how"
check 'the guest runs on' soon 60 running g
check 'it counts on, and agrees' soon 120 agrees g
[ "$(names g | grep -c killed)" = 0 ] || snap vm-snapshot-delete g killed
check 'whole or nothing' is_tidy g

was=$(domid g)
refused 'a boot from disks alone' '17 18 22' libxl vm-snapshot-revert g one --disks-only --running
is 'the domain was not touched' "$(domid g)" "$was"
check 'it counts on' counts_on g
does 'a revert with memory' vm-snapshot-revert g one
check 'it answers' up g
is 'it is the snapshot' "$(marks g)" 'one one one'
check 'it agrees' agrees g
xl pause g
does 'a revert of a paused domain' vm-snapshot-revert g one --running
check 'it answers' up g
for name in $(names g); do snap vm-snapshot-delete g "$name" || failed "delete $name: $said"; done
snap disk-snapshot-delete g d || failed "delete d: $said"
check 'nothing is left over' is_tidy g
check 'the agent takes it when it is there again' with
does 'a snapshot by libxl' vm-snapshot-create g --name again
check 'it agrees' agrees g
snap vm-snapshot-delete g again
check 'nothing is left over' is_tidy g
destroy g
finish
