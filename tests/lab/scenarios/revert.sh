#!/bin/bash
# revert: of running, paused, stopped and destroyed domains; --paused, --stopped, --snapshot-first, --disks-only; disk snapshots of running and stopped domains.
# where: dom0
# kinds: pv pvh hvm
. ./lib.sh
new_guest g "$1" || finish
uuid=$(uuid_of g)
same() { # the domain under its name and UUID, whose marks are of the snapshot
  check "$1: it answers" up g
  is "$1: RAM and disks" "$(marks g)" 'one one one'
  is "$1: UUID" "$(xl domid g >/dev/null && xenstore-read "/local/domain/$(domid g)/vm")" "/vm/$uuid"
  check "$1: RAM and disks agree" agrees g
}
mark g one
does 'snapshot' vm-snapshot-create g --name one
xl list -l g | jq -S '.[0].config | del(.c_info.domid?)' >/tmp/config.before

mark g two
does 'revert of the running domain' vm-snapshot-revert g one
same 'running'
mark g two
xl pause g
does 'revert of a paused domain' vm-snapshot-revert g one --running
same 'paused'
mark g two
destroy g
does 'revert of a destroyed domain' vm-snapshot-revert g one
same 'destroyed'
xl list -l g | jq -S '.[0].config | del(.c_info.domid?)' >/tmp/config.after
check 'its config is the old one' diff /tmp/config.before /tmp/config.after

mark g two
does 'revert --paused' vm-snapshot-revert g one --paused
check 'it is paused' paused g
xl unpause g
same 'unpaused by hand'
mark g two
does 'revert --stopped' vm-snapshot-revert g one --stopped
check 'no domain is left' gone g
does 'revert of a stopped domain' vm-snapshot-revert g one
same 'stopped'

mark g two
does 'revert --snapshot-first' vm-snapshot-revert g one --snapshot-first
same 'snapshot-first'
first=$(xensnap vm-snapshot-list g --json | jq -r 'select(.name != "one") | .name' | tail -1)
[ -n "$first" ] && ok 'the snapshot taken first is listed' || failed 'no snapshot was taken first'
if [ -n "$first" ]; then
  does 'revert to the one taken first' vm-snapshot-revert g "$first"
  up g
  is 'it is the state before' "$(marks g)" 'two two two'
  does 'delete it' vm-snapshot-delete g "$first"
fi

mark g two
does 'revert --disks-only' vm-snapshot-revert g one --disks-only --running
check 'the guest boots' up g
is 'its disks are those of the snapshot, its RAM is new' "$(marks g)" ' one one'
check 'the disks were of one instant' jq -en --argjson s "$(guestcmd -t 90 g state)" '$s.boot_a - $s.boot_b | . == 0 or . == 1'
check 'it counts on' agrees g

# What is checked before the running domain is ended: its tag is taken away by hand.
old=$(domid g)
mark g three
does 'another snapshot' vm-snapshot-create g --name broken
tag=$(xensnap vm-snapshot-show g broken --json | jq -r '.disks[0].tag')
node=$(qmp -d "$old" query-named-block-nodes | jq -r --arg f "$G/g-a.qcow2" '[.[] | select(.file == $f and .drv == "qcow2")][0]["node-name"]')
device=$(qmp -d "$old" query-block | jq -r --arg f "$G/g-a.qcow2" '[.[] | select(.inserted.file == $f)][0].device')
[ -n "$device" ] || device=$node
qmp -d "$old" "{\"execute\":\"blockdev-snapshot-delete-internal-sync\",\"arguments\":{\"device\":\"$device\",\"name\":\"$tag\"}}" >/tmp/qmp.log 2>&1 || failed "the tag could not be taken away: $(cat /tmp/qmp.log)"
refused 'a revert whose tag is gone is refused' 24 . vm-snapshot-revert g broken
is 'the running domain was not touched' "$(domid g)" "$old"
check 'it counts on' counts_on g
snap vm-snapshot-delete g broken || failed "delete: ${said//$'\n'/ }"
snap vm-snapshot-delete g one || failed "delete: ${said//$'\n'/ }"

# --- disks alone --------------------------------------------------------------------------------------------------------------------------
mark g d1
does 'a disk snapshot of the running domain' disk-snapshot-create g --name d1
check 'it goes on' agrees g
mark g d2
refused 'a running domain is not ended for a disk revert unless asked' 18 . disk-snapshot-revert g d1
does 'disk revert --running' disk-snapshot-revert g d1 --running
check 'it boots' up g
is 'the disks are those of the snapshot' "$(marks g)" ' d1 d1'
destroy g
does 'a disk snapshot of a stopped domain' disk-snapshot-create g --name d3
does 'a VM snapshot of a stopped domain' vm-snapshot-create g --name off
boot g || failed 'it boots'
mark g d4
destroy g
does 'disk revert of a stopped domain' disk-snapshot-revert g d3
boot g || failed 'it boots'
is 'the disks are those of the snapshot' "$(marks g)" ' d1 d1'
mark g d5
does 'revert to the snapshot of a stopped domain' vm-snapshot-revert g off --running
check 'it boots' up g
is 'the disks are those of the snapshot' "$(marks g)" ' d1 d1'
for name in d1 d3; do snap disk-snapshot-delete g $name || failed "delete $name: ${said//$'\n'/ }"; done
snap vm-snapshot-delete g off || failed "delete off: ${said//$'\n'/ }"
check 'nothing is left over' is_tidy g
destroy g
finish
