#!/bin/bash
# live: memory is saved while the guest runs and writes; broken off, killed and cancelled in mid-stream. Refused by name where Xen cannot log a guest's changes.
# where: dom0
# kinds: pv pvh hvm
. ./lib.sh
kind=$1
case $kind in pv) needed=shadow ;; *) needed=hap ;; esac
new_guest g "$kind" || finish
guestcmd g "load on" >/dev/null
mark g base
if ! xl info virt_caps | grep -w $needed >/dev/null; then
  was="$(domid g) $(paused g && echo paused)"
  refused "live without $needed" 18 "$needed" vm-snapshot-create g --name no --memory live
  is 'it was not touched' "$(domid g) $(paused g && echo paused)" "$was"
  does 'auto takes it paused' vm-snapshot-create g --name auto
  is 'and says so' "$(xensnap vm-snapshot-show g auto --json | jq -r '.memory.live // false')" false
  check 'it agrees' agrees g
  snap vm-snapshot-delete g auto || failed "delete: $said"
  check 'nothing is left over' is_tidy g
  destroy g
  finish
fi
rounds=${ROUNDS:-3}
for i in $(seq "${rounds:-3}"); do
  mark g "m$i"
  does "live snapshot $i" vm-snapshot-create g --name "s$i" --memory live || continue
  check "live snapshot $i: the guest goes on and agrees (paused $(jq '(.pause // 0) / 1000000 | floor' <<<"$op") ms)" agrees g
  mark g "after$i"
done
for i in $(seq "${rounds:-3}" -1 1); do
  does "revert to $i" vm-snapshot-revert g "s$i" || continue
  check "revert to $i: it answers" up g
  is "revert to $i: RAM and both disks" "$(marks g)" "m$i m$i m$i"
  check "revert to $i: they agree" agrees g
done

# In mid-stream: pages flow, the guest runs.
for what in 'kill -9 of the agent' 'kill -9 of the save helper' 'kill -9 of xensnap-libxl' 'cancel' 'xl destroy'; do
  begin vm-snapshot-create g --name broken --memory live
  soon 60 saving || failed "$what: no stream was seen"
  case $what in
    *agent) systemctl kill --kill-whom=main -s KILL xensnapd; soon 90 agent_up ;;
    *helper) pkill -9 -f libxl-save-helper ;;
    *libxl) pkill -9 -f 'xensnap-libxl serve' ;;
    cancel) timeout 120 xensnap operation cancel "$id" >/dev/null 2>&1 ;;
    *destroy) xl destroy g ;;
  esac
  ends
  case $how in
    done* | failed* | cancelled*) ok "$what in mid-stream: $(cut -c1-200 <<<"$how")" ;;
    *) failed "$what in mid-stream: $how" ;;
  esac
  case $what in
    *destroy) does 'destroyed in mid-stream: a revert brings it back' vm-snapshot-revert g s1; up g ;;
    *) check "$what in mid-stream: the guest agrees" soon 120 agrees g ;;
  esac
  [ "$(names g | grep -c broken)" = 0 ] || snap vm-snapshot-delete g broken
  check "$what in mid-stream: nothing is left over" is_tidy g
done
does 'and it can be taken live again' vm-snapshot-create g --name last --memory live
check 'it agrees' agrees g
for name in $(names g); do snap vm-snapshot-delete g "$name" || failed "delete $name: $said"; done
check 'nothing is left over' is_tidy g
destroy g
finish
