#!/bin/bash
# states: every state and kind of domain is supported, or refused by name before anything is touched.
# where: dom0
# kinds: pv hvm
. ./lib.sh
kind=$1
# untouched WHAT NAME: a refusal left the domain as it was.
untouched() {
  is "$1: the domain is the same" "$(domid "$2") $(flags "$2" | tr -d rb)" "$was"
  check "$1: nothing is left over" is_tidy "$2"
}
remember() { was="$(domid "$1") $(flags "$1" | tr -d rb)"; }
either() { # either WHAT NAME CODES WORDS CMD..: done, or refused by one of the exit codes with words, and the domain is as it was
  local what=$1 name=$2 codes=$3 words=$4
  shift 4
  remember "$name"
  if snap "$@"; then
    ok "$what: done"
  elif grep -qw "$code" <<<"$codes" && grep -qiE "$words" <<<"$said$op"; then
    ok "$what: refused ($(head -1 <<<"$said" | cut -c1-200))"
  else
    failed "$what: exit code $code: $said"
  fi
  untouched "$what" "$name"
}

if [ "$kind" = hvm ]; then
  # Before the guest's drivers run, each image is open twice: by the emulated IDE and for the PV disks.
  destroy h
  rm -f "$G"/h-*.qcow2
  mkguest h hvm
  xl create -q "$G/h.cfg" || failed 'an HVM guest is created'
  either 'HVM before its drivers run' h '17 18 22 23' 'open|IDE|twice|driver|boot|node' vm-snapshot-create h --name early
  check 'it boots all the same' up h
  soon 120 one_node h
  does 'once they run it is taken' vm-snapshot-create h --name late
  check 'and it agrees' agrees h
  for name in early late; do snap vm-snapshot-delete h $name; done
  destroy h
  finish
fi

new_guest g "$kind" || finish
xl pause g
either 'paused by the admin, with memory' g '18' 'paus' vm-snapshot-create g --name p1
check 'it is still paused' paused g
does 'paused by the admin, disks only' vm-snapshot-create g --name p2 --disks-only
check 'it is still paused' paused g
does 'paused by the admin, a disk snapshot' disk-snapshot-create g --name p3
check 'it is still paused' paused g
xl unpause g
check 'unpaused once, it runs on' counts_on g
snap vm-snapshot-delete g p2 && snap disk-snapshot-delete g p3 || failed "delete: $said"
snap vm-snapshot-delete g p1

# Crashed and preserved.
guestcmd -n g 'echo c >/proc/sysrq-trigger'
crashed() { case $(flags g) in *c*) return 0 ;; esac; return 1; }
soon 60 crashed || failed 'it has crashed'
remember g
refused 'crashed, with memory' 18 'crash|shut|state|run' vm-snapshot-create g --name c1
untouched 'crashed' g

# Suspended by somebody who was killed then; powered off and preserved.
new_guest g "$kind" on_poweroff=preserve || finish
mark g one
does 'snapshot' vm-snapshot-create g --name one
shut() { case $(flags g) in *s*) return 0 ;; esac; return 1; }
setsid xl save g /root/other.save >/dev/null 2>&1 &
soon 60 shut || failed 'it is suspended'
pkill -9 -f '(^|/)xl save' # Debian's xl is a script that becomes /usr/lib/xen-4.17/bin/xl
pkill -9 -f libxl-save-helper
sleep 1
remember g
refused 'suspended by somebody else' 18 'suspended' vm-snapshot-create g --name s1
untouched 'suspended' g
/usr/libexec/xensnap/xensnap-libxl resume "$(domid g)" "$(uuid_of g)" >/dev/null || failed 'it is resumed'
check 'resumed, it runs on' agrees g
does 'then it is taken' vm-snapshot-create g --name s2
guestcmd -n g 'poweroff -f'
soon 60 shut || failed 'it is off, and there'
remember g
refused 'shut down and preserved' 18 'shut' vm-snapshot-create g --name s3
untouched 'shut down' g
does 'it is reverted into life' vm-snapshot-revert g one
check 'it answers' up g
is 'as it was' "$(marks g)" 'one one one'
for name in one s2; do snap vm-snapshot-delete g $name || failed "delete $name: $said"; done
rm -f /root/other.save

# A QEMU that is gone.
new_guest g "$kind" || finish
mark g one
does 'snapshot' vm-snapshot-create g --name one
kill -9 "$(xenstore-read "/local/domain/0/device-model/$(domid g)/pid" 2>/dev/null || pgrep -f "xen-domid $(domid g)" | head -1)"
sleep 1
remember g
refused 'its QEMU is dead' '18 22' 'QEMU|QMP' vm-snapshot-create g --name q1
is 'the domain was not paused' "$(domid g) $(flags g | tr -d rb)" "$was"
does 'but it can be reverted' vm-snapshot-revert g one
check 'into life' up g
is 'as it was' "$(marks g)" 'one one one'
snap vm-snapshot-delete g one || failed "delete: $said"
destroy g

# No disks at all: memory and config are a snapshot too, or it is refused by name.
new_guest n "$kind" disks=none && {
  remember n
  if snap vm-snapshot-create n --name n1; then
    does 'without disks: revert' vm-snapshot-revert n n1
    check 'without disks: it answers' up n
    snap vm-snapshot-delete n n1
  else
    grep -qi disk <<<"$said" && ok "without disks: refused ($said)" || failed "without disks: $said"
    is 'without disks: untouched' "$(domid n) $(flags n | tr -d rb)" "$was"
  fi
  destroy n
}

# Disks that no provider can take.
truncate -s 32M /root/phy.raw
loop=$(losetup -f --show /root/phy.raw)
new_guest f "$kind" disks=a extra="disk += [ \"format=raw,vdev=xvdb,access=rw,backendtype=phy,target=$loop\" ]" && {
  remember f
  refused 'a disk on blkback' 17 'xvdb' vm-snapshot-create f --name f1
  is 'blkback: untouched' "$(domid f) $(flags f | tr -d rb)" "$was"
  does 'without that disk it is taken' vm-snapshot-create f --name f2 --disks xvda
  check 'it goes on' running f
  snap vm-snapshot-delete f f2
  destroy f
}
losetup -d "$loop"
truncate -s 32M /root/raw.img
new_guest r "$kind" disks=a extra='disk += [ "format=raw,vdev=xvdb,access=rw,backendtype=qdisk,target=/root/raw.img" ]' && {
  remember r
  refused 'a raw disk' 17 'xvdb' vm-snapshot-create r --name r1
  is 'raw: untouched' "$(domid r) $(flags r | tr -d rb)" "$was"
  destroy r
}

# What this host cannot have for real is written into the domain's stored config: driver domain, stub domain, passthrough.
new_guest g "$kind" || finish
stored=$(ls /var/lib/xen/userdata-d."$(domid g)".*.libxl-json)
for change in '.disks[1].backend_domname = "storage"|driver domain|backend|domain' '.b_info.device_model_stubdomain = "True"|stub domain|stub' '.pcidevs = [{"func": 0, "dev": 3, "bus": 1, "domain": 0}]|passthrough|pci|pass'; do
  IFS='|' read -r edit what words <<<"$change"
  cp "$stored" /tmp/config.json
  jq -nc "first(inputs) | $edit" /tmp/config.json >"$stored"
  # libxl believes in a device that xenstore knows too.
  pci=/local/domain/0/backend/pci/$(domid g)/0
  [ "$what" != passthrough ] || xenstore-write "$pci/num_devs" 1 "$pci/dev-0" 0000:01:03.0
  remember g
  if xl list -l g | jq -e '.[0].config | [.disks[1].backend_domname // "", (.pcidevs // [] | length > 0), .b_info.device_model_stubdomain // ""] | any(. != "" and . != false)' >/dev/null; then
    refused "$what" "17 18" "$words" vm-snapshot-create g --name x1
    is "$what: untouched" "$(domid g) $(flags g | tr -d rb)" "$was"
  else
    echo "skipped: $what: libxl does not take it over from the stored config"
  fi
  cat /tmp/config.json >"$stored"
  xenstore-rm /local/domain/0/backend/pci 2>/dev/null
done

# A guest that does not answer a suspend.
guestcmd -t 60 g deaf | grep -q deaf || failed 'the guest is deaf'
remember g
refused 'a guest that ignores a suspend' 18 'not answer a suspend' vm-snapshot-create g --name deaf
untouched 'deaf' g
guestcmd g 'deaf off' >/dev/null
check 'deaf: it counts on' agrees g
does 'its disks can be taken all the same' disk-snapshot-create g --name d
snap disk-snapshot-delete g d
does 'when it listens again it is taken' vm-snapshot-create g --name heard
check 'and agrees' agrees g
snap vm-snapshot-delete g heard
check 'nothing is left over' is_tidy g

# In the middle of its end.
guestcmd -n g 'sleep 1; poweroff -f'
if snap vm-snapshot-create g --name end; then ok 'powering off meanwhile: the snapshot came first'; else ok "powering off meanwhile: $code $(head -1 <<<"$said" | cut -c1-200)"; fi
soon 120 gone g
check 'powering off meanwhile: it is off, nothing is left over' is_tidy g
for name in $(xensnap vm-snapshot-list g --json | jq -r .name); do snap vm-snapshot-delete g "$name"; done
finish
