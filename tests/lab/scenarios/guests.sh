#!/bin/bash
# guests: unprivileged guests ask about themselves through their own xenstore rings: admitted, refused, or not listened to.
# where: dom0
# kinds: pv
. ./lib.sh
conf=/etc/xensnap/xensnapd.toml
# asks NAME ID BODY: the guest writes a request.  told NAME ID: the operation's end as the guest reads it, into $op
asks() { guestcmd -t 60 "$1" "guest write data/xensnap/request/$2 '$3'" >/dev/null; }
read_it() { op=$(guestcmd -t 60 "$1" "guest read xensnap/operation/$2" 2>/dev/null) && jq -e '.state | IN("done", "failed", "cancelled", "refused")' <<<"$op" >/dev/null; }
told() { soon 300 read_it "$1" "$2"; read_it "$1" "$2"; }
state_of() { jq -r '"\(.state) \(.error.kind // "")"' <<<"$op"; }
create() { printf '{"contract":1,"op.vm_snapshot_create":{"domain":"%s","name":"%s"}}' "$1" "$2"; }
new_guest g "$1" || finish
new_guest h "$1" || finish
cp $conf /tmp/xensnapd.toml
cat >>$conf <<EOF
[[guest]]
uuid = "$(uuid_of g)"
allow = ["vm_snapshot_create", "vm_snapshot_delete"]
rate = 4
snapshots_max = 3
EOF
check 'the agent takes the configuration' restart_agent

check 'the admitted guest asks' asks g a-1 "$(create self mine)"
check 'the other one too' asks h a-1 "$(create self theirs)"
told g a-1
is 'done' "$(state_of)" 'done '
is 'by its own id' "$(jq -r .id <<<"$op")" a-1
is 'the snapshot is there' "$(names g)" mine
check 'the guest runs on, RAM and disks agree' agrees g
is 'the other one is not even read' "$(guestcmd h 'guest read data/xensnap/request/a-1' | jq -r '.contract')" 1
is 'nor told' "$(guestcmd h 'guest ls xensnap' >/dev/null 2>&1; echo $?)" 1
is 'nor snapshot' "$(names h)" ''
check 'its answer is of dom0, for it to read' eval '[ "$(xenstore-ls -fp /local/domain/$(domid g)/xensnap/operation | grep -c "(n0,r$(domid g))")" -ge 1 ]'
check 'it cannot write there' eval '! guestcmd g "guest write xensnap/operation/a-1 x"'
check 'it cannot ask as dom0' eval '! guestcmd g "guest write /tool/xensnap/request/x y"'
check 'it cannot read what dom0 is told' eval '! guestcmd g "guest ls /tool/xensnap/operation"'
check 'the other one cannot read its answer' eval '! guestcmd h "guest read /local/domain/$(domid g)/xensnap/operation/a-1"'

refused_to() { # refused_to ID KIND BODY
  asks g "$1" "$3"
  told g "$1"
  is "refused: $1" "$(state_of)" "refused $2"
}
refused_to another denied "$(create h x)"
refused_to by-uuid denied "$(create "$(uuid_of h)" x)"
refused_to by-domid denied "$(create "$(domid h)" x)"
refused_to dom0 denied "$(create 0 x)"
refused_to revert denied '{"contract":1,"op.vm_snapshot_revert":{"domain":"self","snapshot":"mine"}}'
refused_to cancel denied '{"contract":1,"op.cancel":{"operation":"a-1"}}'
refused_to path bad_request "$(create self ../../etc)"
refused_to nonsense bad_request 'x{'
does 'dom0 takes one' vm-snapshot-create g --name hosts
refused_to not-its-own denied '{"contract":1,"op.vm_snapshot_delete":{"domain":"self","snapshot":"hosts"}}'
asks g del '{"contract":1,"op.vm_snapshot_delete":{"domain":"self","snapshot":"mine"}}'
told g del
is 'deleted' "$(state_of)" 'done '
is "dom0's is still there" "$(names g)" hosts
# 3 of 4 an hour are used: a create, two deletes (one of them refused when it was planned).
asks g last "$(create self last)"
told g last
is 'the last of this hour' "$(state_of)" 'done '
# Asked for by itself: a quarter of an hour, which all this may have taken on a busy machine, gives it one more.
asks g one-more "$(create self more)"
told g one-more
refused_to too-often limit "$(create self more)"

# As much and as fast as it can; dom0's own requests go on.
guestcmd -n g 'i=0; while [ $i -lt 400 ]; do guest write data/xensnap/request/f$i x; guest write data/xensnap/request/@$i x; i=$((i+1)); done'
sleep 5
does "dom0's request meanwhile" vm-snapshot-create h --name meanwhile
check 'the flood ends' soon 300 eval '[ -z "$(xenstore-list /local/domain/$(domid g)/data/xensnap/request)" ] && guest_answers g'
check 'its answers are few' eval '[ "$(xenstore-list /local/domain/$(domid g)/xensnap/operation | wc -l)" -le 32 ]'
check 'the log is not full of it' eval '[ "$(journalctl -q --no-pager -u xensnapd | grep -c "guest g")" -lt 40 ]'

old=$(domid g)
guestcmd -n g 'reboot -f'
soon 120 eval '[ -n "$(domid g)" ] && [ "$(domid g)" != "$old" ]'
check 'it boots again, under another domid' up g
told g last
asks g after "$(create self after)"
told g after
is 'and its hour goes on' "$(state_of)" 'refused limit'

for name in $(names g); do snap vm-snapshot-delete g "$name"; done
snap vm-snapshot-delete h meanwhile
check 'nothing is left over' is_tidy g
cp /tmp/xensnapd.toml $conf
restart_agent
destroy g
destroy h
finish
