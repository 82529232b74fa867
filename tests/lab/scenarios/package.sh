#!/bin/bash
# package: installed beside a running guest, restarted, killed, hung, upgraded, removed, purged and installed again: guests run on, data is as it was. At shutdown the agent ends before the guests.
# where: dom0
# kinds: pv
. ./lib.sh
deb=/opt/lab/xensnap.deb
store=/var/lib/xen/snapshots
pid() { systemctl show -P MainPID xensnapd; }
another() { local now; now=$(pid); [ "$now" != 0 ] && [ "$now" != "$1" ] && agent_up; } # another PID: not that one, and it answers
# What was saved, byte for byte: all of the store but the database's own files, and the records as the store says them.
data() {
  find $store -name '*.save' -exec sha256sum {} + | sort
  xensnap vm-snapshot-list g --json
}
# upgraded DEB: the same package with a higher version
upgraded() {
  rm -rf /tmp/upgrade && dpkg-deb -R "$1" /tmp/upgrade && sed -i 's/^Version: .*/&+upgrade/' /tmp/upgrade/DEBIAN/control && dpkg-deb --root-owner-group -Znone -b /tmp/upgrade /tmp/upgrade.deb
}
# The first installation is beside a guest that runs already.
check 'removed, with all data, before any guest' dpkg -P xensnap
rm -rf $store /var/lib/xensnap
new_guest g "$1" || finish
old=$(domid g)
check 'first installation' install_package
check 'installed: the guest counts on' counts_on g
is 'installed: it is still that domain' "$(domid g)" "$old"
check 'the agent is ready, and systemd knows it' [ "$(systemctl show -P StatusText xensnapd)" = serving ]
check 'the package brings xensnap-libxl, and it finds a libxl' /usr/libexec/xensnap/xensnap-libxl info
does 'a snapshot from within the sandbox' vm-snapshot-create g --name one
data >/tmp/before
check 'there is something to look after' test -s /tmp/before
old=$(pid)
systemctl restart xensnapd
check 'systemctl restart' soon 60 another "$old"
check 'restarted: the guest counts on' counts_on g
old=$(pid)
kill -9 "$old"
check 'kill -9: it is back' soon 90 another "$old"
check 'killed: the guest counts on' counts_on g
old=$(pid)
kill -STOP "$old"
check 'stopped (SIGSTOP): the watchdog has it started again' soon 150 another "$old"
check 'the watchdog did it' eval 'journalctl -q --no-pager -u xensnapd | grep "Watchdog timeout" >/dev/null'
check 'upgrade: made' upgraded $deb
old=$(pid)
check 'upgrade: installed' dpkg -i /tmp/upgrade.deb
check 'upgraded: the new agent runs' soon 60 another "$old"
check 'upgraded: the guest counts on' counts_on g
data >/tmp/after
check 'upgraded: data is as it was' diff /tmp/before /tmp/after
# All at once, as at shutdown and at the next boot: the agent ends before the guests are saved or stopped, and is ready before they are started again.
said_in_order() { # SINCE WORDS: what the two units said, in order
  journalctl -q --no-pager -o cat --since "$1" -u xensnapd -u xendomains | grep -oE "$2" | uniq | head -2 | tr '\n' ' '
}
inactive() { [ "$(systemctl show -P ActiveState "$1")" = inactive ]; }
systemctl start xendomains
printf '[Unit]\nDefaultDependencies=no\nConflicts=xendomains.service xensnapd-stop.service xensnapd.service\n[Service]\nType=oneshot\nExecStart=/bin/true\n' >/run/systemd/system/lab-end.service
systemctl daemon-reload
since=$(date '+%F %T')
systemctl start lab-end # waits for none of them
check 'the end of the guests is over' soon 300 inactive xendomains
is 'the agent ends before the guests' "$(said_in_order "$since" 'xensnapd: stopping|Stopping xendomains')" 'xensnapd: stopping Stopping xendomains '
check 'it is at an end' inactive xensnapd
xensnap domain list >/dev/null
# Debian's xendomains saves what runs, and restores it; elsewhere the guest runs on.
if gone g; then check 'the guest was saved' test -n "$(find /var/lib/xen/save -type f)"; else check 'the guest counts on without an agent' counts_on g; fi
since=$(date '+%F %T')
systemctl start xensnapd xendomains
is 'the agent is ready before the guests' "$(said_in_order "$since" 'xensnapd: ready|Starting xendomains')" 'xensnapd: ready Starting xendomains '
check 'started again' soon 60 agent_up
check 'the guest is there' up g
check 'and counts on' counts_on g
was=$(domid g)
check 'remove' dpkg -r xensnap
check 'removed: the agent is gone' eval '! pgrep -x xensnapd'
check 'removed: the guest counts on' counts_on g
check 'removed: the configuration stays' test -s /etc/xensnap/xensnapd.toml
said=$(dpkg -P xensnap 2>&1)
check 'purge says where the data is' grep -q 'kept: the records and memory images' <<<"$said"
check 'purged: the memory image is there' test -s "$(find $store -name '*.save' | head -1)"
check 'purged: the mark is there' test -s /var/lib/xensnap/installed
check 'purged: the tag is in the image' test -n "$(tags $G/g-a.qcow2)"
is 'purged: the guest is still that domain' "$(domid g)" "$was"
check 'purged: the guest counts on' counts_on g
check 'installed again' install_package
data >/tmp/after
check 'installed again: data is as it was' diff /tmp/before /tmp/after
mark g later
does 'a revert to what was taken before all of it' vm-snapshot-revert g one
check 'the guest answers' up g
check 'RAM and disks agree' agrees g
does 'delete' vm-snapshot-delete g one
check 'nothing is left over' is_tidy g
destroy g
finish
