#!/bin/sh
# Gives every user of a GitHub runner access to KVM; fails if the runner has none.
set -eu

rule='KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"'
echo "$rule" | sudo tee /etc/udev/rules.d/99-kvm.rules
sudo udevadm control --reload-rules
sudo udevadm trigger --name-match=kvm
sudo udevadm settle
test -w /dev/kvm
