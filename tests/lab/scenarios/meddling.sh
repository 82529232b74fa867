#!/bin/bash
# meddling: somebody else destroys, renames, reboots, pauses or saves the domain in the middle of a snapshot or a revert: noticed, whole or nothing.
# where: dom0
# kinds: pv
. ./lib.sh
new_guest g "$1" || finish
n=0
for what in 'xl destroy g' 'xl rename g g2' 'xl pause g' 'xl unpause g' 'xl save g /root/other.save' 'xl reboot g' 'xl shutdown g'; do
  n=$((n + 1))
  domid g >/dev/null || new_guest g "$1"
  mark g "m$n"
  begin vm-snapshot-create g --name "m$n"
  soon 30 saving || failed "$what: no saving process was seen"
  timeout 120 $what >/tmp/meddle.log 2>&1
  ends
  case $how in
    done* | failed* | cancelled*) ok "$what in a save: ended, $how" ;;
    *) failed "$what in a save: $how" ;;
  esac
  [ "$what" != 'xl rename g g2' ] || { check 'renamed: it runs on under its new name' soon 30 running g2; xl rename g2 g; }
  [ "$what" != 'xl pause g' ] || { check "an admin's pause stays" paused g; xl unpause g; }
  case $what in
    'xl reboot g') soon 120 running g; up g ;;
    'xl shutdown g') soon 60 gone g ;;
  esac
  case $how in
    done*)
      snap vm-snapshot-revert g "m$n" || failed "$what: the snapshot cannot be reverted to: $said"
      up g && is "$what: the snapshot is whole" "$(marks g)" "m$n m$n m$n"
      ;;
  esac
  check "$what in a save: nothing is left over" is_tidy g
  if domid g >/dev/null; then
    up g || failed "$what in a save: the guest answers"
    check "$what in a save: the guest agrees" agrees g
  fi
done
rm -f /root/other.save

domid g >/dev/null || new_guest g "$1"
mark g base
does 'snapshot' vm-snapshot-create g --name base
mark g later
# A domain of that name is started by hand while the revert has ended the old one.
begin vm-snapshot-revert g base
soon 60 gone g
xl create -q "$G/g.cfg" >/tmp/meddle.log 2>&1
ends
echo "a domain is started by hand in a revert: $how; xl create said: $(head -1 /tmp/meddle.log)"
is 'one domain of that name is there' "$(xl list | awk '$1 == "g"' | wc -l)" 1
case $how in done*) check 'revert done: it answers' up g && is 'revert done: it is the snapshot' "$(marks g)" 'base base base' ;; esac
[ -z "$(pauses)" ] && ok 'no pause is left' || failed "pauses left: $(pauses)"
hint=$(xensnap operation show "$id" --json | jq -r '.error.hint // ""')
destroy g
undo=$(tags "$G/g-a.qcow2" | grep '^xensnap-undo-')
# Past the point of no return: what cannot go forward keeps the state before, and says under which tags. Else nothing is kept in the end.
if [ -n "$undo" ] && [ "${how#failed}" != "$how" ]; then
  for disk in a b; do
    grep -qF "$undo in $G/g-$disk.qcow2" <<<"$hint" && ok "the error names disk $disk's undo tag" || failed "disk $disk's undo tag is not named: $hint"
    check "disk $disk is put back to it by hand" qemu-img snapshot -a "$undo" "$G/g-$disk.qcow2"
  done
  boot g || failed 'it boots'
  is 'the state before is whole' "$(marks g)" ' later later'
  destroy g
  for disk in a b; do check "disk $disk's undo tag is deleted by hand" qemu-img snapshot -d "$undo" "$G/g-$disk.qcow2"; done
fi
does 'the next revert works' vm-snapshot-revert g base
check 'it answers' up g
is 'it is the snapshot' "$(marks g)" 'base base base'
for name in $(xensnap vm-snapshot-list g --json | jq -r .name); do snap vm-snapshot-delete g "$name"; done
check 'nothing is left over' is_tidy g
destroy g
finish
