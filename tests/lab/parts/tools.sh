# shellcheck shell=bash disable=SC2154,SC2016,SC2054
# tools: what the outer machine needs, and where its packages come from.

# The archive that this machine's apt uses, up to the folder that holds `debian`.
mirror() {
  local found
  found=${XENLAB_MIRROR:-$({ grep -rhoE '^(deb|URIs:) [^#]*https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d/ 2>/dev/null || :; } |
    head -n 1 | sed -E 's#^.*(https?://)#\1#; s#/debian/?[[:space:]]*$##')}
  [ -n "$found" ] || die "no Debian archive in this machine's apt sources: set XENLAB_MIRROR"
  echo "$found"
}

# QEMU has to come from the suite that qemu-utils came from, or apt would remove that one: tests/setup does it, and it brings gcc, jq and socat.
tools() {
  local need=() tool
  for tool in "$QEMU" qemu-img gcc socat; do
    command -v "$tool" >/dev/null || die "no $tool here: run tests/setup once"
  done
  local version
  version=$("$QEMU" --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
  [ "${version:-0}" -ge 8 ] || die "$QEMU is version ${version:-unknown}: a dom0 needs a later one (10.0 of bookworm-backports is known to do; 7.2 crashes it)"
  for tool in mmdebstrap:mmdebstrap cpio:cpio ssh:openssh-client zstd:zstd xz:xz-utils mke2fs:e2fsprogs; do
    command -v "${tool%%:*}" >/dev/null || need+=("${tool##*:}")
  done
  [ ${#need[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "missing ${need[*]}, and not root: install them first"
  say "installing ${need[*]}"
  # A folder of its own: apt keeps links to its archives in $TMPDIR while dpkg runs, and whatever tidies /tmp meanwhile breaks the installation half way.
  mkdir -p "$CACHE/tmp"
  DEBIAN_FRONTEND=noninteractive TMPDIR=$CACHE/tmp apt-get -y -q -o DPkg::Lock::Timeout=600 --no-install-recommends install "${need[@]}" >"$CACHE/apt.log" 2>&1 ||
    { apt-get -q update >>"$CACHE/apt.log" 2>&1 &&
      DEBIAN_FRONTEND=noninteractive TMPDIR=$CACHE/tmp apt-get -y -q -o DPkg::Lock::Timeout=600 --no-install-recommends install "${need[@]}" >>"$CACHE/apt.log" 2>&1; } ||
    { tail -5 "$CACHE/apt.log" >&2; die "apt-get could not install ${need[*]} ($CACHE/apt.log)"; }
}
