#!/bin/bash
# coherent: snapshots at random moments under write load, then reverts to all of them in another order: RAM and both disks agree each time.
# where: dom0
# kinds: pv pvh hvm
. ./lib.sh
rounds=${ROUNDS:-20}
[ -n "$rounds" ] || rounds=20
new_guest g "$1" || finish
guestcmd g "load on" >/dev/null
taken=()
for i in $(seq "$rounds"); do
  sleep "$(awk -v s="$RANDOM" 'BEGIN {print s % 1700 / 1000}')"
  mark g "m$i"
  if snap vm-snapshot-create g --name "s$i"; then
    taken+=("$i")
    check "snapshot $i: the guest goes on and agrees (paused $(jq '(.pause // 0) / 1000000 | floor' <<<"$op") ms)" agrees g
  else
    failed "snapshot $i: $code ${said//$'\n'/ }"
  fi
  mark g "after$i"
done
for i in $(shuf -e "${taken[@]}"); do
  if ! snap vm-snapshot-revert g "s$i"; then
    failed "revert to $i: $code ${said//$'\n'/ }"
    continue
  fi
  up g || { failed "revert to $i: the guest does not answer"; continue; }
  now=$(marks g)
  agreement=$(agrees g)
  if [ "$now" = "m$i m$i m$i" ] && [ -z "$agreement" ]; then ok "revert to $i: RAM and both disks are of one instant"; else failed "revert to $i: marks $now; $agreement"; fi
done
for i in "${taken[@]}"; do snap vm-snapshot-delete g "s$i" || failed "delete $i: ${said//$'\n'/ }"; done
check 'nothing is left over' is_tidy g
destroy g
finish
