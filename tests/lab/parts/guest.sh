# shellcheck shell=bash disable=SC2154,SC2016,SC2054
# guest: the initramfs that PV, PVH and HVM guests share: busybox, the disks' driver and tests/lab/guest/guest.c, which does all the work.

# What comes from the suite's packages.
guest_base() { # ROOT KVER
  local root=$1 tree=$I/guest-base applet
  rm -rf "$tree"
  mkdir -p "$tree"/{bin,proc,sys,dev,tmp,mnt}
  cp "$root/bin/busybox" "$tree/bin/busybox"
  chroot "$root" /bin/busybox --list | while read -r applet; do [ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"; done
  modules "$root" "$2" "$tree" xen-blkfront loop ext4
}

# The whole, and dom0's guestcmd: made when one of our files is newer.
guest_image() {
  if [ -e "$I/guest.img" ] && [ -z "$(find "$lab_dir/guest" -newer "$I/guest.img" -print -quit)" ]; then return 0; fi
  gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -o "$I/guestcmd" "$lab_dir/guest/guestcmd.c"
  local tree=$I/guest-tree
  rm -rf "$tree"
  cp -a "$I/guest-base" "$tree"
  gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -pthread -o "$tree/bin/guest" "$lab_dir/guest/guest.c"
  cp "$lab_dir/guest/deaf" "$tree/bin/deaf"
  cp "$lab_dir/guest/init" "$tree/init"
  chmod +x "$tree/init" "$tree/bin/deaf"
  archive "$tree" "$I/guest.img"
  rm -rf "$tree"
}
