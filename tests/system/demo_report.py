# SPDX-License-Identifier: Apache-2.0
"""What comes out of the demonstration: table, picture, numbers, and what to
do next."""
import dataclasses
import json
import os
import platform
import re
import shlex
import time

import demo_picture
import demo_result
import harness
from frames import UDP
from guest import QEMU
from netns import CommandError, run

TABLE = 2                               # Its indent.
NOTHING = {"sent": 0, "lost": 0, "doubled": 0, "overtaken": 0}


@dataclasses.dataclass
class Result:
    run: demo_result.Run
    guest: object
    traffic: object
    n_frames: int                       # Seen on the underlay.
    faults: list                        # ... what is wrong with them.
    added: str                          # Bytes, to those of the VMs.


def hypervisor(image):
    """QEMU and guest, in words."""
    version = re.search(r"version ([\d.]+)", run(QEMU, "--version")).group(1)
    kernel = next((name.removeprefix("vmlinuz-") for name in os.listdir(
        f"{image.dir}/package/boot") if name.startswith("vmlinuz-")), "")
    how = {"kvm": "KVM", "tcg": "emulation (TCG)"}[image.accel]
    text = f"QEMU {version}, {how}; guest: Debian's Linux {kernel}"
    if image.accel == "kvm":
        return text
    why = ("a guest does not boot with it" if os.path.exists("/dev/kvm")
           else "there is no /dev/kvm")
    return (text + f"\nKVM does not work here ({why}), so the\nguest is "
            "slow, and its memory is shared by both QEMUs, not copied,\n"
            "as TCG may lose writes then.")


def run_of(traffic, moves):
    """What was measured until now."""
    return demo_result.Run(
        list(traffic.tcp), list(traffic.udp), dict(traffic.asked),
        dict(traffic.answered), moves, traffic.started,
        getattr(traffic, "ended", time.time()), "a",
        traffic.counted or {"to_guest": NOTHING, "from_guest": NOTHING})


def move_text(traffic, move):
    measured = run_of(traffic, [move])
    end = measured.window(move)[1]
    return ("pauses: " + ", ".join(
        f"{name} " + demo_result.pause_text(measured.pause(kind, move), end)
        for kind, name in (("udp", "UDP"), ("ping", "ping"), ("tcp", "TCP")))
        + f"; lost: {measured.lost_udp(move)} UDP, "
        f"{measured.lost_pings(move)} pings")


def look_at_underlay(story, rig, guest, traffic, underlay):
    """(number of frames, faults, bytes added to a packet): no cable between
    the sites may show a home address, the MAC of a VM or a wrong checksum."""
    n = len(underlay.read())
    if not n:
        return 0, [], ""
    story.live(lambda: f"looking at {n} frames of the router's cables")
    faults = harness.underlay_faults(rig, underlay)
    mac = guest.cards[0].mac
    faults += [f"shows the MAC of the guest: {frame.where}: {frame}"
               for frame in underlay.frames
               if mac in (frame.eth_src, frame.eth_dst)]
    return n, faults, added_bytes(traffic.udp_sizes(), underlay.frames)


def added_bytes(sizes, frames):
    """Of datagrams on the underlay, compared with those at c1's card with the
    same payload, which has a number; in words."""
    added = sorted({len(frame.data) - sizes[frame.payload()]
                    for frame in frames if frame.protocol == UDP
                    and frame.ports() and frame.payload() in sizes})
    return " to ".join(str(n) for n in {*added[:1], *added[-1:]})


def tell(story, rig, result, options):
    """Table, verdicts, files.  True if all went as it should."""
    shown = result.run
    if options.plain:                   # What is lost on the way there.
        shown = dataclasses.replace(shown, moves=shown.moves[:1])
    story.say("\n".join(demo_result.table(shown)), TABLE)
    story.say("")
    complaints = rig.missed + result.traffic.missed
    if not options.plain:
        complaints += rig.complaints()
    for name, value in verdicts(rig, result, options):
        story.say(f"{name:<31}{value}", TABLE)
    for problem in (result.faults + complaints)[:5]:
        story.say(f"! {problem}", TABLE)
    write_files(story, result, options)
    story.took(f"All in all {time.monotonic() - story.begin:.0f} s")
    died = bool(result.traffic.transfer.error)
    return died if options.plain else not (died or result.faults
                                           or complaints)


def verdicts(rig, result, options):
    transfer, counted = result.traffic.transfer, result.run.counted
    megabytes = f"{transfer.bytes / 1e6:.1f} MB came back"
    found = [("TCP session", f"died: {transfer.error}; {megabytes} before"
              if transfer.error else f"lives: {megabytes}, each byte right"),
             ("UDP doubled, overtaken", ", ".join(
                 str(sum(way[what] for way in counted.values()))
                 for what in ("doubled", "overtaken")))]
    if options.wan:
        found.append(("lost by the lines, on purpose",
                      "%d of %d frames" % rig.lost_by_lines()))
    if options.plain:
        return found
    shown = sum("shows" in fault for fault in result.faults)
    return found + [
        ("frames on the router's cables", result.n_frames),
        ("  with home addresses or MACs", shown),
        ("  with wrong checksums", sum("checksum" in fault
                                       for fault in result.faults)),
        ("bytes added to a packet", result.added)]


# Files.

def write_files(story, result, options):
    os.makedirs(options.out, exist_ok=True)
    name = "-".join(["demo"] + [word for word in ("plain", "wan")
                                if getattr(options, word)])
    base = os.path.abspath(f"{options.out}/{name}")
    with open(f"{base}.json", "w") as file:
        json.dump(dataclasses.asdict(result.run), file)
    with open(f"{base}.svg", "w") as file:
        file.write(demo_picture.draw(result.run, *captions(result, options)))
    try:
        run("rsvg-convert", "-o", f"{base}.png", f"{base}.svg")
    except CommandError as error:
        story.say(f"! no PNG: {error}")
        return story.say(f"picture: {base}.svg")
    return story.say(f"picture: {base}.png and .svg (numbers: .json)")


def captions(result, options):
    transfer, home = result.traffic.transfer, result.guest.cards[0].v4
    title = ("Without ovs-mat: a virtual machine moves to another subnet, and "
             "its sessions die" if options.plain else
             "A virtual machine moves between three IP subnets, and its "
             "sessions go on")
    image = result.guest.image
    line = "lines between the sites" if options.wan else "LAN"
    subtitle = (f"Guest {home}: QEMU ({image.accel.upper()}), "
                + ("stock bridging" if options.plain else "ovs-mat")
                + f", {line}.  TCP session: " + (
                    transfer.error or f"{transfer.bytes / 1e6:.1f} MB back, "
                    "each byte right") + ".")
    return title, subtitle, [
        f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} on {machine()}; "
        "times are those of the kernel for packets on the correspondents' "
        "cards, and of QEMU's and matd's records."]


def machine():
    with open("/proc/cpuinfo") as file:
        found = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
    return (f"{os.cpu_count()} x {found.group(1) if found else 'CPU'}, "
            f"Linux {platform.release()}")


# What to do next.

def what_next(options):
    print("""
Everything is taken down now.  Next:""")
    for word, why in (
            ("plain", "the same without ovs-mat"),
            ("wan", "with 10 ms and losses between the sites"),
            ("keep", "left up, to look around")):
        if not getattr(options, word):
            print(f"  ./boot.sh demo {'--' + word:<10}{why}")
    print("""\
  ./boot.sh check          the tests of all this
On real hypervisors: see the README.""")


def look_around(rig, guest):
    """Commands that work as they are."""
    site, card = guest.site, guest.cards[0]
    enter = "ip netns exec"
    program = shlex.quote(os.path.realpath(
        os.path.join(os.path.dirname(__file__), "demo")))
    print(f"""
Everything is still up; the guest is at site {site.name}.  From a1, b1, c1:
  {enter} {rig.b1.namespace.name} ping {card.v4}
What the network between the sites sees of that:
  {enter} {rig.router.namespace.name} tcpdump -ni {site.name} icmp
The guest's console (it only speaks), and its monitor:
  cat {guest.dir}/{site.name}.console""")
    if hasattr(site, "state") and rig.moves != "ba":
        look_at_agents(rig, guest)
    print(f"Take it down:\n  {program} --end")


def look_at_agents(rig, guest):
    site, card = guest.site, guest.cards[0]
    inside = (f"ip netns exec {site.namespace.name} env "
              f"OVS_RUNDIR={site.dir} OVS_DBDIR={site.dir}")
    print(f"""\
The agent of site {site.name} (-t names its socket; the others' are beside it):
  m="{inside} {rig.programs.matctl} -t {site.dir}/matd.ctl"
  $m vms; $m peers; $m migrations; $m pools
  $m trace {card.v4} {rig.c1.v4} --zone=7
Its switch:
  s="{site.switch.build.appctl} -t {site.dir}/ovs-vswitchd.ctl"
  $s mat/show; $s mat/stats; $s dpctl/dump-flows""")
