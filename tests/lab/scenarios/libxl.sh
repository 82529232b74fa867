#!/bin/bash
# libxl: xensnap-libxl alone: refusals, saves (served, killed, live), xl restore of them, monitors after a suspend (reboot, crash, poweroff, destroy), create.
# where: dom0
# kinds: pv pvh hvm
# By hand: [STEPS="saves restored"] libxl.sh [KIND..]. It needs no agent, and nothing in dom0 but jq, socat and the program.
. "$(dirname "$0")/lib.sh"
export PATH=$PATH:/opt/lab:/usr/libexec/xensnap
run=/run/xensnap dir=/var/tmp/xensnap-libxl

say() { printf '[%4ss] %s\n' "$SECONDS" "$*"; }
wants() { is "$1" "$3" "$2"; } # wants WHAT WANTED SEEN
xsl() { xensnap-libxl "$@" 2>>"$dir/xsl.log"; }
kind_of() { jq -r '.error.kind // "ok"'; }
state() { xsl state "$id" "$uuid" | jq -r '.ok.state // .error.kind'; }
is_state() { [ "$(state)" = "$1" ]; }
new_file() { rm -f "$1" && (umask 077 && : >"$1"); }
domid() { xl domid "$name" 2>/dev/null; }
answers() { timeout 20 guestcmd "$name" 'echo yes' 2>/dev/null | grep -q yes; }
another_runs() { local now; now=$(domid) && [ "$now" != "$1" ] && xl list "$now" 2>/dev/null | tail -1 | grep -qE ' [r-][b-]---- '; }
gone() { ! xl list "$name" >/dev/null 2>&1; }
guest() { timeout 5 guestcmd "$name" "$@" >/dev/null 2>&1; } # no answer is waited for

config() { # config KIND
  local kernel=/opt/lab/vmlinux console=hvc0
  [ "$1" != hvm ] || kernel=/opt/lab/vmlinuz console=ttyS0
  for d in a b; do qemu-img create -q -f qcow2 "$dir/$name-$d.qcow2" 64M; done
  cat >"$dir/$name.cfg" <<END
name = "$name"
uuid = "$uuid"
type = "$1"
kernel = "$kernel"
ramdisk = "/opt/lab/guest.img"
memory = 128
vcpus = 1
cmdline = "console=$console quiet"
on_poweroff = "destroy"
on_reboot = "restart"
on_crash = "restart"
$([ "$1" != hvm ] || printf '%s\n' 'serial = "pty"' 'vga = "none"' 'vnc = 0' 'usb = 0')
disk = [ "format=qcow2,vdev=xvda,access=rw,backendtype=qdisk,target=$dir/$name-a.qcow2", "format=qcow2,vdev=xvdb,access=rw,backendtype=qdisk,target=$dir/$name-b.qcow2" ]
END
}

up() { # creates the guest; an overloaded machine may be too slow for libxl's 10 s
  for _ in 1 2 3 4; do
    xl create -q "$dir/$name.cfg" 2>>"$dir/xl.log" && break
    sleep 2
  done
  soon 400 answers && id=$(domid) # a guest that crashed at boot (the emulation) is another instance by now
}

monitor() { # monitor: stands in for xl's, as the agent does after a save
  setsid xensnap-libxl --run $run watch "$id" "$uuid" >>"$dir/$name.watch" 2>&1 </dev/null 7>&- 8<&- &
}

# A monitor stands: xl's own (from 4.20 on) or ours.
watched() {
  { [ "$monitor_ends" = false ] && pgrep -x xl >/dev/null; } || ! flock -n "$run/watchers/$uuid.lock" true 2>/dev/null
}

# serve: requests on descriptor 7, answers on 8; $served is its process.
serve() {
  rm -f "$dir/sock" "$dir/in" "$dir/out" && mkfifo "$dir/in" "$dir/out"
  setsid xensnap-libxl --run $run serve "$dir/sock" >>"$dir/xsl.log" 2>&1 </dev/null &
  soon 20 test -S "$dir/sock" || return 1
  socat UNIX-CONNECT:"$dir/sock" STDIO <"$dir/in" >"$dir/out" &
  exec 7>"$dir/in" 8<"$dir/out"
  read -r -t 60 line <&8 && served=$(jq -r .ok.pid <<<"$line") && [ "$(jq -r .ok.protocol <<<"$line")" = 1 ]
}
ask() { # ask JSON: $line is the answer
  printf '%s\n' "$1" >&7
  read -r -t 120 line <&8
}
target() { printf '"domid":%s,"uuid":"%s"' "$id" "$uuid"; }

saves() {
  local f=$dir/$name.save
  new_file "$f"
  guestcmd "$name" 'echo marked >/tmp/mark' >/dev/null
  serve || return 1
  ask "{\"do\":\"suspend\",$(target),\"file\":\"$f\",\"live\":false}"
  wants "$name: a served suspend" suspended "$(jq -r .ok.status.state <<<"$line")"
  wants "$name: the file's size is told" "$(stat -c %s "$f")" "$(jq -r .ok.bytes <<<"$line")"
  wants "$name: the file begins as xl's does" "Xen saved domain, xl format" "$(head -c 27 "$f")"
  ask "{\"do\":\"pause\",$(target)}"
  wants "$name: a suspended domain is not paused" wrong_state "$(kind_of <<<"$line")"
  monitor
  ask "{\"do\":\"resume\",$(target)}"
  wants "$name: it was resumed" true "$(jq -r .ok.was_suspended <<<"$line")"
  ask "{\"do\":\"resume\",$(target)}"
  wants "$name: a second resume does nothing" false "$(jq -r .ok.was_suspended <<<"$line")"
  exec 7>&- 8<&-
  if soon 10 sh -c "! kill -0 $served"; then ok "$name: serve ends with its client"; else failed "$name: serve stays"; fi
  if soon 120 answers; then ok "$name: the guest answers after a resume"; else failed "$name: the guest does not answer after a resume"; fi
  if soon 20 watched; then ok "$name: a monitor stands"; else failed "$name: no monitor: $(tail -2 "$dir/$name.watch")"; fi
  return 0
}

killed_save() {
  local f=$dir/$name.part
  new_file "$f"
  serve || return 1
  printf '%s\n' "{\"do\":\"suspend\",$(target),\"file\":\"$f\",\"live\":false}" >&7
  soon 60 sh -c "[ \$(stat -c %s '$f') -gt 4000000 ]"
  kill -9 -- "-$served"
  exec 7>&- 8<&-
  say "$name: killed at $(stat -c %s "$f") bytes; Xen says $(state)"
  wants "$name: a killed save leaves the guest suspended" suspended "$(state)"
  wants "$name: resume from another process" true "$(xsl resume "$id" "$uuid" | jq -r .ok.was_suspended)"
  if soon 120 answers; then ok "$name: the guest lives after a killed save"; else failed "$name: the guest is dead after a killed save"; fi
  return 0
}

live() {
  local f=$dir/$name.live answer
  new_file "$f"
  answer=$(xsl suspend --live "$id" "$uuid" "$f")
  if [ "$1" = pv ] && [ "$shadow" = false ]; then
    wants "$name: live is refused where Xen cannot" "wrong_state running 0" "$(kind_of <<<"$answer") $(state) $(stat -c %s "$f")"
    return
  fi
  wants "$name: a live save ends suspended" suspended "$(jq -r '.ok.status.state // .error.message' <<<"$answer")"
  xsl resume "$id" "$uuid" >/dev/null
  if soon 120 answers; then ok "$name: the guest answers after a live save"; else failed "$name: no answer after a live save"; fi
  return 0
}

refusals() {
  local f=$dir/$name.refused
  new_file "$f"
  local code
  xsl pause "$id" 00000000-0000-4000-8000-000000000001 >"$dir/answer"
  code=$?
  wants "$name: another uuid" "other_domain 3" "$(kind_of <"$dir/answer") $code"
  xsl state 32000 "$uuid" >"$dir/answer"
  code=$?
  wants "$name: a dead domid" "gone 3" "$(kind_of <"$dir/answer") $code"
  wants "$name: nobody has paused it" wrong_state "$(xsl unpause "$id" "$uuid" | kind_of)"
  xl pause "$name"
  xsl pause "$id" "$uuid" >/dev/null
  xsl unpause "$id" "$uuid" >/dev/null
  wants "$name: an admin's pause outlives ours" paused "$(state)"
  wants "$name: a paused guest is not saved" "wrong_state 0" "$(xsl suspend "$id" "$uuid" "$f" | kind_of) $(stat -c %s "$f")"
  xl unpause "$name"
  wants "$name: it runs" running "$(state)"
  ln -sf "$f" "$f.link"
  wants "$name: no link is followed" file "$(xsl suspend "$id" "$uuid" "$f.link" | kind_of)"
  chmod 644 "$f"
  wants "$name: no file that others may read" file "$(xsl suspend "$id" "$uuid" "$f" | kind_of)"
  wants "$name: the guest was left alone" running "$(state)"
  return 0
}

restarts() { # the monitor that stands acts as the config says
  local old=$id why command
  for why in reboot crash; do
    case $why in reboot) command='reboot -f' ;; crash) command='echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger' ;; esac
    old=$id
    guest "$command"
    if soon 300 another_runs "$old"; then
      id=$(domid)
      wants "$name: after a $why it is the same domain" "$uuid" "$(xenstore-read "/local/domain/$id/vm" | cut -d/ -f3)"
    else
      failed "$name: a $why was not handled: $(xl list | tail -1); $(tail -3 "$dir/$name.watch")"
      return 1
    fi
    soon 300 answers || failed "$name: no answer after a $why"
    soon 20 watched || failed "$name: no monitor after a $why"
  done
  return 0
}

restored() { # xl restore takes what we wrote
  xl destroy "$name"
  if soon 30 flock -n "$run/watchers/$uuid.lock" true || [ "$monitor_ends" = false ]; then ok "$name: the monitor ends with the instance"; else failed "$name: the monitor stays"; fi
  for d in a b; do qemu-img check -q "$dir/$name-$d.qcow2" || failed "$name: disk $d"; done
  if ! xl restore "$dir/$name.save" 2>>"$dir/xl.log"; then
    failed "$name: xl restore: $(tail -2 "$dir/xl.log")"
    return 1
  fi
  id=$(domid)
  soon 120 answers || failed "$name: no answer after xl restore"
  wants "$name: xl restore brings its memory back" marked "$(timeout 60 guestcmd "$name" 'cat /tmp/mark' | grep .)"
  return 0
}

poweroff_after_resume() {
  local f=$dir/$name.off
  new_file "$f"
  : >"$dir/$name.watch"
  xsl suspend "$id" "$uuid" "$f" >/dev/null
  xsl resume "$id" "$uuid" >/dev/null
  monitor
  soon 20 watched || failed "$name: no monitor"
  soon 120 answers
  guest 'poweroff -f'
  if soon 60 gone; then ok "$name: poweroff removes the domain"; else failed "$name: poweroff was not handled: $(xl list "$name" | tail -1)"; fi
  return 0
}

created() {
  local answer=$dir/$name.answer old
  xl destroy "$name" 2>/dev/null
  soon 60 flock -n "$run/watchers/$uuid.lock" true
  rm -f "$answer"
  jq -c . <"$dir/$name.json" >"$dir/$name.config"
  setsid xensnap-libxl --run $run create "$dir/$name.config" --paused --answer "$answer" >>"$dir/$name.watch" 2>&1 </dev/null &
  soon 60 test -s "$answer" || return 1
  wants "$name: created, paused" "paused $uuid" "$(jq -r '"\(.ok.status.state) \(.ok.status.uuid)"' "$answer")"
  id=$(jq -r .ok.status.domid "$answer")
  wants "$name: a second of its name is refused" "wrong_state" "$(xsl create "$dir/$name.config" | kind_of)"
  xsl unpause "$id" "$uuid" >/dev/null
  if soon 300 answers; then ok "$name: the created guest answers"; else failed "$name: the created guest does not answer"; fi
  old=$id
  guest 'reboot -f'
  if soon 120 another_runs "$old"; then ok "$name: its monitor restarts it"; else failed "$name: a reboot was not handled: $(tail -3 "$dir/$name.watch")"; fi
  xl destroy "$name"
  if soon 30 flock -n "$run/watchers/$uuid.lock" true; then ok "$name: and ends when somebody destroys it"; else failed "$name: the monitor stays"; fi
  return 0
}

mkdir -p $dir $run
info=$(xsl info)
say "$info"
monitor_ends=$(jq -r .ok.xl_monitor_ends <<<"$info")
shadow=$(jq -r .ok.shadow <<<"$info")
[ $# -gt 0 ] || set -- pv pvh
for kind; do
  name=libxl-$kind uuid=$(cat /proc/sys/kernel/random/uuid) id=
  xl destroy "$name" 2>/dev/null
  config "$kind"
  if ! up; then
    failed "$name does not come up: $(tail -2 "$dir/xl.log")"
    continue
  fi
  xl list -l "$id" | jq '.[0].config' >"$dir/$name.json"
  say "$name is up as domid $id"
  for step in ${STEPS:-refusals saves restarts killed_save live restored poweroff_after_resume created}; do
    "$step" "$kind" || failed "$name: $step: $(tail -2 "$dir/$name.watch" 2>/dev/null)"
  done
  xl destroy "$name" 2>/dev/null
  rm -f "$dir/$name"[.-]*
done
finish
