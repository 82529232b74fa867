#!/bin/bash
# reboot: power cuts of dom0: the mirror is rebuilt, a destroyed domain is reverted into life; and one at each step of a create and of a revert.
# where: outside
# kinds: pv
# needs: fault-points
set -uo pipefail
kind=$1
lab=$XENSNAP_LAB
bad=0
ok() { echo "ok $*"; }
failed() { echo "FAILED $*"; bad=1; }
# in_dom0 SCRIPT: with the library; its checks are counted there and end the call with 1.
in_dom0() { "$lab" run "cd /opt/lab/scenarios; . ./lib.sh; $1
finish" </dev/null || bad=1; }
cut() { "$lab" reset || { failed "$1: dom0 does not come up again"; exit 1; }; }

in_dom0 "new_guest g $kind; mark g one; does 'snapshot' vm-snapshot-create g --name one; mark g two; sync"
cut 'a power cut'
in_dom0 "
check 'after a power cut the agent is up' soon 120 agent_up
is 'the snapshot is listed' \"\$(xensnap vm-snapshot-list g --json | jq -r .name)\" one
soon 30 xenstore-exists /tool/xensnap/domain/\$(uuid_of g)
is 'the mirror is rebuilt' \"\$(xenstore-read -R /tool/xensnap/domain/\$(uuid_of g) | jq -r .snapshots)\" 1
does 'the domain, which is gone, is reverted into life' vm-snapshot-revert g one
check 'it answers' up g
is 'as it was' \"\$(marks g)\" 'one one one'
check 'RAM and disks agree' agrees g
check 'nothing is left over' is_tidy g"

# A power cut at each step: the agent sleeps there, and the machine goes off.
create='step.create_memory_file.after pause.armed step.memory_begin.before step.memory_begin.after disks_create.asked disks_create.answered release.before release.after memory_complete.after sync.after step.commit.before'
revert='step.verify.after end_domain.ended disks_apply.asked disks_apply.answered step.start_domain.before start_domain.started step.commit.before step.disks_delete.before'
points=()
for point in $create; do points+=("create|$point"); done
for point in $revert; do points+=("revert|$point"); done
if [[ ${ROUNDS:-} == *-* ]]; then # a part of them: 1-6, 12-18
  points=("${points[@]:${ROUNDS%-*}-1:${ROUNDS#*-}-${ROUNDS%-*}+1}")
elif [ -n "${ROUNDS:-}" ]; then # so many of them, spread over all
  few=()
  for i in $(seq 0 $((ROUNDS - 1))); do few+=("${points[i * ${#points[@]} / ROUNDS]}"); done
  points=("${few[@]}")
fi
for one in "${points[@]}"; do
  verb=${one%%|*} point=${one##*|}
  what="power cut in a $verb at $point"
  case $verb in
    create) words='vm-snapshot-create g --name cut' ;;
    revert) words='vm-snapshot-revert g one' ;;
  esac
  "$lab" run "cd /opt/lab/scenarios; . ./lib.sh
    running g && guest_answers g || { destroy g; snap vm-snapshot-revert g one; up g; } || exit 1
    mark g two
    with_faults $point=sleep600000; systemctl restart xensnapd; soon 60 agent_up || exit 1
    from=\$(date +%s)
    xensnap $words --no-wait >/dev/null 2>&1
    soon 90 eval 'journalctl -q -u xensnapd --since @'\$from' | grep \"fault point $point\" >/dev/null' || exit 3
    with_faults ''; rm -rf /etc/systemd/system/xensnapd.service.d; sync" </dev/null
  case $? in
    0) ;;
    3) echo "skipped: $what: not passed"; "$lab" run "cd /opt/lab/scenarios; . ./lib.sh; with_faults ''; restart_agent; sleep 5" </dev/null; continue ;;
    *) failed "$what: the agent could not be brought there"; continue ;;
  esac
  cut "$what"
  in_dom0 "
check '$what: the agent is up' soon 120 agent_up
check '$what: whole or nothing, nothing left over' is_tidy g
for name in \$(names g); do
  does \"$what: revert to what is listed (\$name)\" vm-snapshot-revert g \$name
  up g || failed '$what: it answers'
  check '$what: RAM and disks agree' agrees g
done
[ \"\$(xensnap vm-snapshot-list g --json | jq -r 'select(.name == \"cut\") | .name')\" = '' ] || snap vm-snapshot-delete g cut"
done
exit $bad
