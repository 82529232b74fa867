#!/bin/bash
# install: the package is installed, and the agent answers.
# where: dom0
# kinds: none
. ./lib.sh
check 'the agent answers' agent_up
check 'systemd calls it active' systemctl is-active xensnapd
finish
