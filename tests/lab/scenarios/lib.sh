# shellcheck shell=bash
# lib: what scenarios share. They run in dom0, with the package installed and the agent under systemd, and say `ok WHAT` or `FAILED WHAT: why`.
#   new_guest NAME KIND [mkguest's words]   a fresh guest, up and counting
#   state NAME .n                           what the guest says of itself, by jq
#   agrees NAME                             RAM and both disks agree, and always have
#   snap CMD..                              xensnap CMD --json; the operation's JSON in $op, its exit code in $code, what it said in $said
set -uo pipefail
G=/opt/lab/guests
bad=0
op='{}' code=0 said=''

ok() { echo "ok $*"; }
failed() {
  echo "FAILED $*"
  bad=$((bad + 1))
}
finish() { exit $((bad > 0)); }
# check WHAT COMMAND..: the command's success is the check; what it says is why not.
check() {
  local what=$1 out
  shift
  if out=$("$@" 2>&1); then ok "$what"; else failed "$what: ${out:-$* ended with $?}"; fi
}
is() { [ "$2" = "$3" ] && ok "$1" || failed "$1: $2, not $3"; } # is WHAT FOUND WANTED
soon() { # soon SECONDS COMMAND..: tries until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.5
  done
}

# --- guests -------------------------------------------------------------------------------------------------------------------------------
domid() { xl domid "$1" 2>/dev/null; }
uuid_of() { sed -n 's/^uuid = "\(.*\)"/\1/p' "$G/$1.cfg"; }
same_uuid() { [ "$(xenstore-read "/local/domain/$(domid "$1")/vm")" = "/vm/$(uuid_of "$1")" ]; }
gone() { ! xl domid "$1" >/dev/null 2>&1; }
# r b p s c d of xl list, without the dashes: "" is runnable
flags() { xl list "$1" 2>/dev/null | awk 'NR == 2 {gsub(/-/, "", $(NF-1)); print $(NF-1)}'; }
paused() { case $(flags "$1") in *p*) return 0 ;; esac; return 1; }
running() { case $(flags "$1") in '' | r | b) domid "$1" >/dev/null ;; *) return 1 ;; esac; }
destroy() { xl destroy "$1" >/dev/null 2>&1; soon 60 gone "$1"; }
boot() { # boot NAME: from its config, until it answers. libxl gives up on a busy machine, so twice.
  xl create -q "$G/$1.cfg" >/tmp/create.log 2>&1 || { destroy "$1"; xl create -q "$G/$1.cfg" >/tmp/create.log 2>&1; } || { cat /tmp/create.log; return 1; }
  up "$1"
}
# An HVM guest needs a minute and more for its firmware and its kernel's unpacking. One that is gone or crashed for 10 s comes no more.
up() {
  local end=$((SECONDS + 400)) there=$SECONDS
  until guest_answers "$1" >/dev/null 2>&1; do
    case $(flags "$1") in *c*) ;; *) gone "$1" || there=$SECONDS ;; esac
    [ $SECONDS -lt $end ] || { echo "it does not answer: $(xl list "$1" 2>&1 | tail -1)"; return 1; }
    [ $((SECONDS - there)) -lt 10 ] || { echo "it is gone or crashed: $(xl list "$1" 2>&1 | tail -1)"; return 1; }
    sleep 0.5
  done
}
guest_answers() { guestcmd -t 20 "$1" true; }
new_guest() {
  destroy "$1"
  rm -f "$G/$1"-*.qcow2
  mkguest "$@" && boot "$1" || { failed "a guest $1 ($2)"; return 1; }
  [ "$2" != hvm ] || soon 120 one_node "$1"
}
# HVM: the emulated IDE disks are gone, so each image is open once.
one_node() { [ "$(qmp -d "$(domid "$1")" query-block 2>/dev/null | jq '[.[] | select(.inserted)] | length')" = 2 ]; }
state() { guestcmd -t 90 "$1" state | jq -r "$2"; }
agrees() {
  local now n2
  now=$(guestcmd -t 90 "$1" state) || { echo "the guest does not answer"; return 1; }
  [ "$(jq -r .bad <<<"$now")" = '' ] || { jq -r .bad <<<"$now"; return 1; }
  n2=$(state "$1" .n)
  [ "${n2:-0}" -ge "$(jq .n <<<"$now")" ] || { echo "it does not count on: $n2"; return 1; }
}
counts_on() { # NAME: alive, and writing to both disks
  local a b
  a=$(guestcmd -t 90 "$1" state) || return 1
  sleep 1
  b=$(guestcmd -t 90 "$1" state) || return 1
  jq -en --argjson a "$a" --argjson b "$b" '$b.n > $a.n and $b.a > $a.a and $b.b > $a.b' >/dev/null || { echo "it stands still: $a then $b"; return 1; }
}
mark() { guestcmd -t 90 "$1" "mark $2" >/dev/null; }
marks() { state "$1" '"\(.mark) \(.mark_a) \(.mark_b)"'; } # RAM's, disk a's, disk b's

# --- xensnap ------------------------------------------------------------------------------------------------------------------------------
snap() {
  said=$(mktemp)
  op=$(timeout 900 xensnap "$@" --json 2>"$said" | tail -1)
  code=${PIPESTATUS[0]}
  said=$(cat "$said"; rm -f "$said")
  [ -n "$op" ] || op='{}'
  return "$code"
}
# does WHAT CMD..: the operation is done.
does() {
  local what=$1
  shift
  if snap "$@"; then ok "$what"; else failed "$what: $code ${said//$'\n'/ } $op"; return 1; fi
}
# refused WHAT CODES WORDS CMD..: it ends with one of these exit codes, and its error speaks of WORDS (a regular expression).
refused() {
  local what=$1 wanted=$2 words=$3
  shift 3
  if snap "$@"; then failed "$what: it was done"; return 1; fi
  grep -qw "$code" <<<"$wanted" || { failed "$what: exit code $code, not $wanted: $said"; return 1; }
  grep -qiE "$words" <<<"$said$op" || { failed "$what: the error does not speak of '$words': $said"; return 1; }
  ok "$what ($(head -1 <<<"$said" | cut -c1-160))"
}
# begin CMD..: starts an operation; $id is its id. ends: waits for it; $how is how it ended.
begin() { id=$(xensnap "$@" --no-wait --json 2>/dev/null | tr -d '"'); }
state_of() { xensnap operation show "$1" --json | jq -r '"\(.state) \(.error.kind // "") \(.error.message // "")"'; }
ends() { soon 240 settled; how=$(state_of "$id"); }
settled() { [ -z "$(xensnap operation list --json | jq -r 'select(.state | IN("done", "failed", "cancelled", "refused") | not) | .id')" ]; }
saving() { pgrep -f 'libxl-save-helper|xl save' >/dev/null; }
tags() { qemu-img info -U --output=json "$1" | jq -r '.snapshots // [] | .[].name' | sort; } # IMAGE
names() { xensnap vm-snapshot-list "$1" --json 2>/dev/null | jq -r .name; }
agent_up() { xensnap agent status; }
restart_agent() { systemctl restart xensnapd && soon 60 agent_up; }
pauses() { find /run/xensnap -path '*pause*' -type f 2>/dev/null; }
# tidy NAME: nothing is left over: no pause, no saving process, no open operation, no tag but the records', and the store is sound.
tidy() {
  local left disk want have
  left=$(pauses)
  [ -z "$left" ] || { echo "pauses left: $left"; return 1; }
  # The living agent may keep its helper for the next operation.
  left=$(pgrep -af 'xl save|libxl-save-helper|xensnap-libxl serve' | grep -v "libxl-$(systemctl show -P MainPID xensnapd)-" | head -3)
  [ -z "$left" ] || { echo "processes left: $left"; return 1; }
  settled || { echo "operations open: $(xensnap operation list --json | jq -c '[.id, .state]' | head -5)"; return 1; }
  for disk in a b; do
    want=$(xensnap vm-snapshot-list "$1" --json | jq -r --arg p "$G/$1-$disk.qcow2" '.disks[]? | select(.path == $p) | .tag' | sort)
    want=$( { echo "$want"; xensnap disk-snapshot-list "$1" --json 2>/dev/null | jq -r --arg p "$G/$1-$disk.qcow2" '.disks[]? | select(.path == $p) | .tag'; } | sed '/^$/d' | sort -u)
    have=$(tags "$G/$1-$disk.qcow2" | sort -u)
    [ "$want" = "$have" ] || { echo "tags of disk $disk: ${have//$'\n'/ }, not ${want//$'\n'/ }"; return 1; }
  done
  xensnap store check >/tmp/check.log 2>&1 || { tail -3 /tmp/check.log; return 1; }
}
is_tidy() { soon 60 tidy "$1" || tidy "$1"; }

# --- the programs -------------------------------------------------------------------------------------------------------------------------
install_package() {
  dpkg -i /opt/lab/xensnap.deb >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; return 1; }
  systemctl restart xensnapd && soon 60 agent_up || { journalctl -q --no-pager -u xensnapd -n 30; return 1; }
}
# with_faults SPEC: the agent with fault points, doing SPEC (XENSNAPD_FAULT); '' is the package's own again. The unit's other settings stay.
with_faults() {
  local dir=/etc/systemd/system/xensnapd.service.d
  mkdir -p $dir
  if [ -n "$1" ]; then
    printf '[Service]\nExecStart=\nExecStart=/opt/lab/xensnapd-faults\nEnvironment=XENSNAPD_FAULT=%s\n' "$1" >$dir/faults.conf
  else
    rm -f $dir/faults.conf
  fi
  sync
  systemctl daemon-reload
}
