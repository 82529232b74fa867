#!/bin/bash
# restart: the agent restarted by systemd, and killed, while memory is saved, while a revert goes on and after it: guest and disks live.
# where: dom0
# kinds: pv pvh hvm
. ./lib.sh
new_guest g "$1" || finish
guestcmd g "load on" >/dev/null
mark g one
does 'snapshot' vm-snapshot-create g --name one
n=0
for how in 'systemctl restart xensnapd' 'systemctl kill --kill-whom=main -s KILL xensnapd' 'systemctl stop xensnapd; systemctl start xensnapd'; do
  n=$((n + 1))
  xensnap vm-snapshot-create g --name "in$n" --no-wait >/dev/null 2>&1
  soon 30 saving || failed "$how: no saving process was seen"
  eval "$how"
  check "$how in a save: the agent is back" soon 90 agent_up
  soon 180 settled
  check "$how in a save: the guest runs, RAM and disks agree" soon 120 agrees g
  check "$how in a save: whole or nothing" is_tidy g
done
for how in 'systemctl restart xensnapd' 'systemctl kill --kill-whom=main -s KILL xensnapd'; do
  mark g two
  xensnap vm-snapshot-revert g one --no-wait >/dev/null 2>&1
  soon 30 eval 'gone g || pgrep -f "xl restore|libxl-save-helper"' || failed "$how: no revert was seen"
  eval "$how"
  soon 90 agent_up
  soon 240 settled
  check "$how in a revert: the guest answers" up g
  now=$(marks g)
  case $now in 'one one one' | 'two two two') ok "$how in a revert: all of one instant ($now)" ;; *) failed "$how in a revert: marks $now" ;; esac
  check "$how in a revert: it agrees" agrees g
  check "$how in a revert: nothing is left over" is_tidy g
done
does 'revert' vm-snapshot-revert g one
up g
old=$(domid g)
systemctl restart xensnapd
check 'restart after a revert: the guest and its disks live' counts_on g
kill -9 "$(systemctl show -P MainPID xensnapd)"
soon 60 agent_up
check 'kill -9 after a revert: the guest and its disks live' counts_on g
is 'it is still that domain' "$(domid g)" "$old"
guestcmd -n g 'reboot -f'
check 'a reboot inside the guest still starts it again' soon 120 eval '[ -n "$(domid g)" ] && [ "$(domid g)" != "$old" ]'
systemctl stop xensnapd
check 'with the agent stopped it runs on' up g
systemctl start xensnapd
soon 60 agent_up
for name in $(xensnap vm-snapshot-list g --json | jq -r .name); do snap vm-snapshot-delete g "$name" || failed "delete $name: ${said//$'\n'/ }"; done
check 'nothing is left over' is_tidy g
destroy g
finish
