# shellcheck shell=bash disable=SC2154,SC2016,SC2054
# machine: the emulated machine's life. $R holds what belongs to the running one:
#   pid . port . stored (its xenstored) . disk.qcow2 . console.log . mon and ssh (sockets)

alive() { [ -s "$R/pid" ] && kill -0 "$(cat "$R/pid")" 2>/dev/null; }
need_up() { alive || die "not running: 'lab up' first"; }

new_run() { # BACKING: an empty folder with a disk over BACKING
  ! alive || die "already running (pid $(cat "$R/pid")): 'lab down' first"
  rm -rf "$R"
  mkdir -p "$R"
  echo "$STORED" >"$R/stored"
  qemu-img create -q -f qcow2 -F qcow2 -b "../$1" "$R/disk.qcow2" # relative: the cache may be moved
}

# The first of QEMU's arguments that decide what a frozen state fits to. PVH and HVM guests need this CPU: with `max` they crash (RDTSCP exits with
# RDTSC's code) and make dom0's processes crash at random (FSGSBASE: the FS base is lost).
CPU=phenom,-fxsr-opt,-rdtscp

start_qemu() { # CACHE-MODE [RESUMED-STATE]
  local port=${XENLAB_PORT:-2222} ram smp dom0 incoming=()
  if [ -z "${XENLAB_PORT:-}" ]; then
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  fi
  echo "$port" >"$R/port"
  read -r ram smp dom0 <"$I/size"
  [ -z "${2:-}" ] || incoming=(-incoming "exec:zstd -qdc $2")
  # One CPU for dom0: with two, each of xenstored's answers wakes a sleeping virtual CPU, which takes seven times as long on a busy machine, and libxl's
  # time limits (10 s for a QEMU to come up) are not kept.
  # -kernel takes Xen as a multiboot image; -initrd is "module arguments,module": dom0's kernel and initramfs.
  "$QEMU" -name xenlab -machine pc -accel tcg,thread=multi,tb-size=512 -cpu "$CPU" -smp "$smp" -m "$ram" \
    -nodefaults -no-user-config -display none -vga none \
    -kernel "$I/xen" \
    -append "console=com1 com1=115200,8n1 loglvl=warning guest_loglvl=warning dom0_mem=${dom0}M,max:${dom0}M dom0_max_vcpus=1 bootscrub=0 spec-ctrl=no xpti=no pv-l1tf=no watchdog=0 gnttab_max_frames=64 noreboot=0" \
    -initrd "$I/vmlinux root=/dev/vda rw console=hvc0 quiet mitigations=off nokaslr random.trust_cpu=on systemd.show_status=0 lab.xenstored=$(cat "$R/stored"),$I/dom0.img" \
    -drive "file=$R/disk.qcow2,if=none,id=d0,format=qcow2,cache=$1,discard=unmap" -device virtio-blk-pci,drive=d0 \
    -netdev "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=n0,romfile= \
    -device virtio-rng-pci -rtc base=utc -serial "file:$R/console.log" -monitor "unix:$R/mon,server=on,wait=off" \
    "${incoming[@]}" -daemonize -pidfile "$R/pid" 7>&- || die "QEMU did not start"
}

hmp() { # COMMAND..: QEMU's monitor
  printf '%s\n' "$@" | socat -t "${HMP_WAIT:-600}" - "UNIX-CONNECT:$R/mon" | tr -d '\r' | sed 's/\x1b\[[0-9;]*[A-Za-z]//g'
}

kill_qemu() { # [SIGNAL]
  alive || return 0
  local pid
  pid=$(cat "$R/pid")
  kill "-${1:-TERM}" "$pid" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$R/pid"
}

ssh_opts() {
  OPTS=(-F /dev/null -i "$KEY" -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
    -o ConnectTimeout=20 -o ServerAliveInterval=30 -o ServerAliveCountMax=10
    -o ControlMaster=auto -o "ControlPath=$R/ssh" -o ControlPersist=600 -o Ciphers=aes128-ctr,chacha20-poly1305@openssh.com -o KexAlgorithms=curve25519-sha256)
}
ssh_() { ssh_opts; ssh "${OPTS[@]}" -p "$(cat "$R/port")" root@127.0.0.1 "$@" 7>&-; }
scp_() { ssh_opts; scp -q -r "${OPTS[@]}" -P "$(cat "$R/port")" "$@" 7>&-; }
stop_ssh_master() { ssh_opts; ssh "${OPTS[@]}" -O exit -p "$(cat "$R/port")" root@127.0.0.1 2>/dev/null || true; rm -f "$R/ssh"; }
quoted() { if [ $# = 1 ]; then printf '%s' "$1"; else printf '%q ' "$@"; fi; }

# CPU time that the machine has used, in seconds: what a boot takes of it does not depend on what else this machine does.
cpu_used() { awk -v hz="$(getconf CLK_TCK)" '{sub(/.*\) /, ""); print int(($12 + $13) / hz)}' "/proc/$(cat "$R/pid")/stat" 2>/dev/null || echo 0; }

wait_ssh() { # CPU-SECONDS
  local end=$((SECONDS + 1200))
  until ssh_ true 2>/dev/null </dev/null; do
    alive || { tail -20 "$R/console.log" >&2; die "QEMU ended"; }
    if [ "$(cpu_used)" -gt "$1" ] || [ $SECONDS -ge $end ]; then
      tail -3 "$R/console.log" >&2
      say "dom0 does not answer after $(cpu_used) s of CPU time"
      return 1
    fi
    sleep 1
  done
}

wait_xen() {
  ssh_ 'i=0; until xl list >/dev/null 2>&1 && systemctl is-active -q xen.service; do i=$((i+1)); [ $i -lt 150 ] || exit 1; sleep 1; done
        i=0; while [ "$(systemctl is-system-running)" = starting ] && [ $i -lt 100 ]; do i=$((i+1)); sleep 1; done; xl list >/dev/null' </dev/null ||
    { say "xl does not work in dom0"; return 1; }
}

# Boots what is in $R/disk.qcow2. About one boot in six hangs for good in dom0's early start (seen under emulation only).
boot() { # CACHE-MODE
  local try
  for try in 1 2 3; do
    start_qemu "$1"
    if wait_ssh "${XENLAB_BOOT_LIMIT:-260}" && wait_xen; then return 0; fi
    cp "$R/console.log" "$I/hung-$try.log"
    stop_ssh_master
    kill_qemu KILL
    say "boot $try of 3 failed (console: $I/hung-$try.log)"
  done
  die "Xen or dom0 does not boot"
}

boot_cold() { # BACKING
  new_run "$1"
  boot unsafe
}

# Freezes the booted machine: RAM and devices into a file, its disk as it is at that moment. `up` resumes that in seconds.
freeze() {
  local to=$I/booted-$STORED
  say "freezing the booted machine"
  # What guests need is in memory then: libxl gives a QEMU 10 s to come up, and reading it from disk takes longer on a busy machine.
  ssh_ 'sync; echo 3 >/proc/sys/vm/drop_caches; cat /opt/lab/vmlinux* >/dev/null; xl info >/dev/null; qemu-img --version >/dev/null
        for q in /usr/lib/xen*/bin/qemu-system-i386 /usr/libexec/xen*/bin/qemu-system-i386 /usr/libexec/xen-qemu-system-i386 /usr/bin/qemu-system-i386; do [ ! -x "$q" ] || "$q" -machine none -version >/dev/null || true; done'
  stop_ssh_master
  hmp stop "migrate \"exec:zstd -q -3 > $to.state\"" 'info migrate' >"$I/migrate.log"
  grep -q 'completed' "$I/migrate.log" || { cat "$I/migrate.log" >&2; die "the booted machine could not be saved"; }
  kill_qemu
  # $R is one folder deeper
  qemu-img rebase -u -f qcow2 -F qcow2 -b base.qcow2 "$R/disk.qcow2"
  mv "$R/disk.qcow2" "$to.qcow2"
}

up() {
  build
  if alive; then
    [ "$(cat "$R/stored")" = "$STORED" ] || die "up already, with the other xenstored: 'lab down' first"
    say "already up"
    return 0
  fi
  if [ "${1:-}" = --cold ]; then
    new_run base.qcow2
    boot writeback
  else
    [ -e "$I/booted-$STORED.qcow2" ] || { say "first boot with xenstored $STORED"; boot_cold base.qcow2; freeze; }
    resume
  fi
  guest_image
  scp_ "$lab_dir"/dom0/* "$I/guestcmd" "$I/guest.img" root@127.0.0.1:/opt/lab/
  ssh_ "ln -sf /opt/lab/{mkguest,guestcmd,qmp,by-script} /usr/local/bin/"
  say "up: $SUITE, Xen $XEN, xenstored $STORED"
}

# The disk's cache is honest (writeback): what dom0 flushes is on this machine's disk, what it does not may be lost by `reset`.
resume() {
  new_run "booted-$STORED.qcow2"
  start_qemu writeback "$I/booted-$STORED.state"
  for _ in $(seq 200); do HMP_WAIT=5 hmp 'info status' </dev/null | grep -q 'VM status: .*inmigrate' || break; sleep 0.2; done
  HMP_WAIT=5 hmp cont >/dev/null
  wait_ssh 120 || die "the frozen machine did not resume"
  ssh_ "date -u -s @$(date +%s) >/dev/null" # its clock stood still
}

# kill -9 loses what QEMU held in its own caches and had not been asked to flush: as hard as a power cut, for a disk with a write cache.
power_cut() {
  stop_ssh_master
  kill_qemu KILL
  qemu-img check -q -r leaks -f qcow2 "$R/disk.qcow2" >"$R/check.log" 2>&1 || { cat "$R/check.log" >&2; die "the machine's disk is broken"; }
  boot writeback
}

down() {
  alive || return 0
  stop_ssh_master
  kill_qemu
  say "stopped"
}
