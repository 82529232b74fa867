# shellcheck shell=bash disable=SC2154,SC2016,SC2054
# build: packages -> root folder -> disk image, kernel and initramfs -> first boot -> frozen booted state.
#   $I/base.qcow2             dom0's disk as installed
#   $I/booted-KIND.{qcow2,state,as}   a booted machine with that xenstored: its disk over base, RAM and devices, and how QEMU was called
#   $I/{xen,vmlinux,dom0.img} what QEMU boots;  $I/guest-base: what the guests' initramfs takes from the suite;  $I/ok: all of it is whole, made by these scripts

# The images are made anew when what they are made of has changed. (What is in guest/ and dom0/ is brought in by each `up`.)
recipe() { cat "$lab_dir"/parts/{build,dom0}.sh | sha256sum | cut -c1-16; }

build() {
  [ "${1:-}" != --force ] || { down; rm -f "$I/ok"; }
  if [ -e "$I/ok" ] && { [ "$(cat "$I/ok")" = "$(recipe)" ] || alive; }; then return 0; fi
  tools
  [ "$(id -u)" = 0 ] || die "build needs root (chroot, device nodes)"
  mkdir -p "$CACHE"
  exec 7>"$CACHE/build-$SUITE.lock"
  flock 7
  if [ -e "$I/ok" ] && [ "$(cat "$I/ok")" = "$(recipe)" ]; then exec 7>&-; return 0; fi
  rm -rf "$I"
  mkdir -p "$I"
  [ -e "$KEY" ] || ssh-keygen -q -t ed25519 -N '' -C xenlab -f "$KEY"
  local root=$I/root kver
  bootstrap "$root"
  kver=$(find "$root/lib/modules/" -mindepth 1 -maxdepth 1 -printf '%f\n' | head -1)
  say "dom0's settings (kernel $kver)"
  chroot "$root" depmod "$kver" 2>/dev/null || true
  gunzip -c "$root/boot/xen-$XEN-amd64.gz" >"$I/xen"
  svm_workaround
  vmlinux_of "$root/boot/vmlinuz-$kver" "$I/vmlinux"
  guest_base "$root" "$kver"
  dom0_initrd "$root" "$kver"
  dom0_settings "$root" "$kver"
  chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' >"$I/packages"
  disk_image "$root"
  first_boot
  recipe >"$I/ok"
  exec 7>&-
  say "built: $(du -sm "$I" | cut -f1) MB in $I"
}

bootstrap() { # ROOT
  local packages from ex=() what
  packages=systemd-sysv,udev,kmod,iproute2,openssh-server,procps,e2fsprogs,busybox-static,socat,jq,sqlite3,strace,python3
  packages+=,linux-image-amd64 # the cloud kernel cannot be a dom0
  packages+=,xen-hypervisor-$XEN-amd64,xen-utils-$XEN,xenstore-utils,qemu-system-xen,qemu-utils,seabios
  # Large things that neither dom0 nor a guest needs here.
  for what in gpu media net/ethernet net/wireless net/can infiniband iio staging isdn bluetooth scsi usb hwmon input mtd platform; do
    ex+=(--dpkgopt="path-exclude=/lib/modules/*/kernel/drivers/$what/*" --dpkgopt="path-exclude=/usr/lib/modules/*/kernel/drivers/$what/*")
  done
  for what in sound fs/btrfs fs/xfs fs/ocfs2 fs/gfs2 fs/ceph fs/cifs fs/nfs fs/nfsd fs/f2fs fs/bcachefs net/wireless net/mac80211 net/netfilter net/bluetooth net/sctp net/tipc; do
    ex+=(--dpkgopt="path-exclude=/lib/modules/*/kernel/$what/*" --dpkgopt="path-exclude=/usr/lib/modules/*/kernel/$what/*")
  done
  for what in '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' /etc/kernel/postinst.d/initramfs-tools \
    '/usr/share/seabios/vgabios-[a-q]*' '/usr/share/qemu/edk2*' '/usr/share/qemu/*aarch64*'; do
    ex+=(--dpkgopt="path-exclude=$what")
  done
  from=$(mirror)
  say "installing Debian $SUITE with Xen $XEN into a folder"
  mkdir -p "$I/tmp"
  # shellcheck disable=SC2016 # $1 is mmdebstrap's
  printf 'deb %s main\n' "$from/debian $SUITE" "$from/debian $SUITE-updates" "$from/debian-security $SUITE-security" |
    TMPDIR=$I/tmp mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" "${ex[@]}" --aptopt='Acquire::Languages "none"' \
      --setup-hook='mkdir -p "$1/etc"; echo xenlab >"$1/etc/hostname"' "$SUITE" "$1" - >"$I/mmdebstrap.log" 2>&1 ||
    { tail -30 "$I/mmdebstrap.log" >&2; die "mmdebstrap failed ($I/mmdebstrap.log)"; }
  # Packages that are installed later in dom0 keep their manual pages.
  rm -f "$1"/etc/dpkg/dpkg.cfg.d/*mmdebstrap*
}

# The kernel inside a bzImage, unpacked: Xen and libxl take the ELF file, and unpacking it costs many seconds under emulation, at each boot and each `xl create`.
vmlinux_of() { # BZIMAGE OUT
  local sects off len magic
  sects=$(od -An -tu1 -j497 -N1 "$1" | tr -d ' ')
  off=$(od -An -tu4 -j584 -N4 "$1" | tr -d ' ')
  len=$(od -An -tu4 -j588 -N4 "$1" | tr -d ' ')
  off=$(((sects + 1) * 512 + off))
  magic=$(od -An -tx1 -j"$off" -N4 "$1" | tr -d ' ')
  payload() { dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$off" count="$2" status=none; }
  case $magic in
    fd377a58) payload "$1" $((len - 4)) | xz -dc >"$2" ;;
    28b52ffd) payload "$1" $((len - 4)) | zstd -qdc >"$2" ;;
    1f8b*) payload "$1" $((len - 4)) | gzip -dc >"$2" ;;
    *) die "unknown compression ($magic) in $1" ;;
  esac
}

# QEMU 9.1 to 10.0 (and maybe later) take a guest's read of CR2, CR3, CR4 or CR8 for a read of CR0 when they look whether the hypervisor intercepts it
# (decode_op() of target/i386/tcg/decode-new.c.inc tests e.intercept, which is 0 for READ_CR0, instead of e.has_intercept). Xen intercepts reads of
# CR0, so it emulates `mov %cr2` and answers 0: every PVH or HVM Linux dies at its first page fault. So this copy of Xen does not ask for that
# intercept: one bit of the constant that construct_vmcb() puts in the VMCB, 0xfefbfefb -> 0xfefbfefa. dom0 and PV guests are not concerned.
svm_workaround() {
  local at
  at=$(LC_ALL=C grep -obUaP '\xfb\xfe\xfb\xfe' "$I/xen" | cut -d: -f1)
  case $at in
    '' | *[!0-9]*) say "not one CR intercept constant in Xen, but '${at//$'\n'/ }': PVH and HVM guests may not boot"; return 0 ;;
  esac
  printf '\xfa' | dd of="$I/xen" bs=1 seek="$at" conv=notrunc status=none
}

# With a journal: after a power cut dom0 mounts it as it is, as a real one would.
disk_image() { # ROOT
  say "disk image"
  rm -rf "$1"/var/cache/apt/*.bin "$1"/var/lib/apt/lists/* "$1"/boot/initrd* "$1"/boot/xen*.efi
  truncate -s 6G "$I/base.raw"
  mke2fs -q -F -t ext4 -J size=16 -O ^metadata_csum -m 0 -d "$1" "$I/base.raw"
  qemu-img convert -f raw -O qcow2 "$I/base.raw" "$I/base.qcow2"
  rm -rf "$I/base.raw" "$1"
}

first_boot() {
  echo "${XENLAB_RAM:-2048} ${XENLAB_SMP:-2} ${XENLAB_DOM0:-768}" >"$I/size"
  say "first boot"
  boot_cold base.qcow2
  freeze
}
