#!/bin/bash
# lifecycle: after a snapshot, and after a revert, a reboot, a power-off and a crash inside the guest act as its config says.
# where: dom0
# kinds: pv pvh hvm
. ./lib.sh
rebooted() { local now; now=$(domid g) && [ "$now" != "$old" ]; }
crash() { guestcmd -n g 'echo c >/proc/sysrq-trigger'; }
after() { # after WHAT: each of the three, in a guest that is at that point
  local what=$1
  old=$(domid g)
  guestcmd -n g 'reboot -f'
  check "$what, a reboot starts it again" soon 120 rebooted
  up g || failed "$what, the rebooted guest answers"
  old=$(domid g)
}
new_guest g "$1" on_crash=restart on_reboot=restart on_poweroff=destroy || finish
does 'snapshot' vm-snapshot-create g --name one
after 'after a snapshot'
check 'after the reboot it can be snapshot again' snap vm-snapshot-create g --name two
old=$(domid g)
crash
check 'after that, a crash starts it again (on_crash=restart)' soon 120 rebooted
up g || failed 'the guest answers after its crash'
does 'snapshot' vm-snapshot-create g --name three
guestcmd -n g 'poweroff -f'
check 'after it, a power-off removes it' soon 120 gone g
does 'a revert brings it back' vm-snapshot-revert g one
up g || failed 'it answers after the revert'
after 'after a revert'
does 'revert once more' vm-snapshot-revert g one
up g || failed 'it answers'
guestcmd -n g 'poweroff -f'
check 'after a revert, a power-off removes it' soon 120 gone g
for name in one two three; do snap vm-snapshot-delete g $name || failed "delete $name: ${said//$'\n'/ }"; done

new_guest g "$1" on_crash=preserve || finish
does 'snapshot' vm-snapshot-create g --name one
crash
crashed() { case $(flags g) in *c*) return 0 ;; esac; return 1; }
check 'a crash leaves it to be looked at (on_crash=preserve)' soon 120 crashed
does 'a crashed domain is reverted into life' vm-snapshot-revert g one
check 'it answers' up g
does 'delete' vm-snapshot-delete g one
check 'nothing is left over' is_tidy g
destroy g
finish
