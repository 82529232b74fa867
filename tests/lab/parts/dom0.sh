# shellcheck shell=bash disable=SC2154,SC2016,SC2054
# dom0: its settings, and the initramfs that mounts its disk.

dom0_settings() { # ROOT KVER
  local root=$1 unit
  echo '127.0.0.1 localhost xenlab' >"$root/etc/hosts"
  : >"$root/etc/fstab"
  mkdir -p "$root/root/.ssh" "$root/opt/lab/guests"
  cp "$KEY.pub" "$root/root/.ssh/authorized_keys"
  chmod 700 "$root/root/.ssh"
  rm -f "$root"/etc/ssh/ssh_host_*
  ssh-keygen -q -t ed25519 -N '' -C xenlab -f "$root/etc/ssh/ssh_host_ed25519_key"
  printf '%s\n' 'HostKey /etc/ssh/ssh_host_ed25519_key' 'PermitRootLogin prohibit-password' 'PasswordAuthentication no' 'UsePAM no' 'UseDNS no' \
    'MaxSessions 200' 'Subsystem sftp /usr/lib/openssh/sftp-server' >"$root/etc/ssh/sshd_config"
  cat >"$root/etc/systemd/system/lab-net.service" <<'UNIT'
[Unit]
Description=static address on QEMU's user network
DefaultDependencies=no
After=systemd-udev-trigger.service
Before=ssh.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip link set lo up; modprobe virtio_net; for i in 1 2 3 4 5 6 7 8 9; do d=$(ls /sys/class/net | grep -E "^(eth|en)" | head -1); [ -n "$d" ] && break; sleep 1; done; ip addr add 10.0.2.15/24 dev $d; ip link set $d up'
[Install]
WantedBy=multi-user.target
UNIT
  mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/etc/modules-load.d" "$root/etc/systemd/journald.conf.d" "$root/etc/systemd/system.conf.d"
  ln -sf ../lab-net.service "$root/etc/systemd/system/multi-user.target.wants/lab-net.service"
  printf '%s\n' virtio_net xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-blkback loop >"$root/etc/modules-load.d/lab.conf"
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service getty@tty1.service \
    systemd-update-utmp.service systemd-binfmt.service getty-static.service console-getty.service systemd-pstore.service modprobe@drm.service serial-getty@hvc0.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  # The journal is kept over a power cut: it tells what the agent did before.
  printf '[Journal]\nStorage=persistent\nSystemMaxUse=32M\nSyncIntervalSec=1s\nRateLimitBurst=0\n' >"$root/etc/systemd/journald.conf.d/lab.conf"
  # Emulation is slow.
  printf '[Manager]\nDefaultTimeoutStartSec=300s\nDefaultTimeoutStopSec=60s\n' >"$root/etc/systemd/system.conf.d/lab.conf"
  # Guests are neither saved nor restored behind a scenario's back.
  chroot "$root" systemctl -q disable xendomains.service 2>/dev/null || true
  rm -f "$root"/etc/rc?.d/S*xendomains
  xenstored_choice "$root"
  cp "$I/vmlinux" "$root/opt/lab/"
  mv "$root/boot/vmlinuz-$2" "$root/opt/lab/vmlinuz" # HVM: QEMU's -kernel wants a bzImage
  ln -sf /opt/lab/{mkguest,guestcmd,qmp} "$root/usr/local/bin/"
}

# Which xenstored runs is said on the kernel's command line, so that one disk serves for both.
xenstored_choice() { # ROOT
  local file=$1/etc/default/xen
  [ -e "$1/etc/init.d/xen" ] || die "no /etc/init.d/xen in $SUITE: how does it choose a xenstored?"
  cat >>"$file" <<SH

# The lab's choice.
if grep -q 'lab.xenstored=c' /proc/cmdline; then XENSTORED=/usr/lib/xen-$XEN/bin/xenstored; else XENSTORED=/usr/lib/xen-$XEN/bin/oxenstored; fi
SH
}

# Copies modules with all that they need, in the order of loading, to DIR/mod and lists them in DIR/mod/list.
modules() { # ROOT KVER DIR MODULE..
  local root=$1 kver=$2 dir=$3 file name
  shift 3
  mkdir -p "$dir/mod"
  chroot "$root" modprobe -S "$kver" --show-depends -a "$@" 2>/dev/null | awk '$1 == "insmod" && !seen[$2]++ {print $2}' |
    while read -r file; do
      name=$(basename "$file" .xz)
      case $file in *.xz) xz -dc "$root$file" >"$dir/mod/$name" ;; *) cp "$root$file" "$dir/mod/$name" ;; esac
      echo "$name"
    done >"$dir/mod/list"
}

archive() { (cd "$1" && find . | cpio -o -H newc --quiet --owner 0:0) | gzip -1 >"$2"; } # FOLDER OUT

# Loads the disk's driver, mounts, hands over to systemd. (initramfs-tools' own takes half a minute under emulation.)
dom0_initrd() { # ROOT KVER
  local root=$1 tree=$I/initrd applet
  rm -rf "$tree"
  mkdir -p "$tree"/{bin,proc,sys,dev,new}
  cp "$root/bin/busybox" "$tree/bin/busybox"
  for applet in sh mount insmod switch_root sleep mknod; do ln -s busybox "$tree/bin/$applet"; done
  modules "$root" "$2" "$tree" virtio_pci virtio_blk ext4
  cat >"$tree/init" <<'SH'
#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read m; do insmod /mod/$m; done < /mod/list
i=0; while [ ! -b /dev/vda ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
mount -t ext4 -o rw,noatime /dev/vda /new || exec sh
mount -o move /dev /new/dev; mount -o move /sys /new/sys; mount -o move /proc /new/proc
exec switch_root /new /sbin/init
SH
  chmod +x "$tree/init"
  archive "$tree" "$I/dom0.img"
  rm -rf "$tree"
}
