#!/bin/bash
# bootfiles: direct kernel boot: kernel, ramdisk and command line are in the record; a revert warns when they have changed; --keep-boot-files keeps copies.
# where: dom0
# kinds: pv hvm
. ./lib.sh
kernel=/root/own-kernel ramdisk=/root/own-ramdisk
put_files() {
  case $kind in hvm) cp /opt/lab/vmlinuz $kernel ;; *) cp /opt/lab/vmlinux $kernel ;; esac
  cp /opt/lab/guest.img $ramdisk
}
kind=$1
put_files
new_guest g "$1" kernel=$kernel ramdisk=$ramdisk cmdline=lab.word || finish
does 'snapshot' vm-snapshot-create g --name plain
record=$(xensnap vm-snapshot-show g plain --json)
is "the kernel's sum is in the record" "$(jq -r '[.. | objects | select(.path? == "'$kernel'") | .sha256][0]' <<<"$record")" "$(sha256sum $kernel | cut -d' ' -f1)"
is "the ramdisk's too" "$(jq -r '[.. | objects | select(.path? == "'$ramdisk'") | .sha256][0]' <<<"$record")" "$(sha256sum $ramdisk | cut -d' ' -f1)"
grep -q lab.word <<<"$record" && ok 'and the command line' || failed 'the command line is not in the record'
does 'snapshot with --keep-boot-files' vm-snapshot-create g --name kept --keep-boot-files
printf x >>$ramdisk
plan=$(xensnap vm-snapshot-revert g plain --dry-run 2>&1)
grep -qi "$ramdisk" <<<"$plan" && ok 'a plan of a revert warns of the changed ramdisk' || failed "the plan does not warn: $plan"
does 'with memory it is reverted all the same' vm-snapshot-revert g plain
check 'it answers' up g
rm -f $ramdisk $kernel
does 'with kept files and --disks-only it boots though they are gone' vm-snapshot-revert g kept --disks-only --running
check 'it boots' up g
check 'with its command line' guestcmd g 'grep -q lab.word /proc/cmdline'
refused 'while it boots from them they are not deleted' 18 'boots from' vm-snapshot-delete g kept
check 'they are there' test "$(find /var/lib/xen/snapshots -name '*kernel*' -o -name '*ramdisk*' | wc -l)" = 2
put_files
does 'with the files put back, as they were, it boots from them again' vm-snapshot-revert g kept --disks-only --running
check 'it boots' up g
is 'from its own kernel' "$(xl list -l g | jq -r '[.[0].config | .. | strings | select(endswith("kernel"))][0]')" $kernel
for name in plain kept; do snap vm-snapshot-delete g $name || failed "delete $name: $said"; done
is 'the copies went with it' "$(find /var/lib/xen/snapshots -name '*kernel*' -o -name '*ramdisk*' | wc -l)" 0
check 'nothing is left over' is_tidy g
destroy g
finish
