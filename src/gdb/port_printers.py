# SPDX-License-Identifier: Apache-2.0
"""Shows gdb's user a port and a channel: open or what else, which channel, its label, and what is unread.

gdb loads it with libportolan.so where it is installed; `source` loads it by hand. It reads memory and calls nothing, so
that it works on a core dump as well, and it needs the library's debug information.
"""
import gdb
import gdb.printing


def complete(pointer, name):
    """What a pointer leads to; the program itself knows the type by name only."""
    return pointer.cast(gdb.lookup_type(name).pointer()).dereference()


def pointer_in(atomic):
    return atomic["_M_b"]["_M_p"]


def channel_id(state):
    return f"{int(state['channel_']['high']):016x}{int(state['channel_']['low']):016x}"


def label(endpoint):
    text = endpoint["segment_"]["_M_ptr"]["label_"]["_M_dataplus"]["_M_p"].string()
    return f' "{text}"' if text else ""


def standing(endpoint):
    about = endpoint["standing_"].referenced_value()
    status = str(about["status_"]["_M_i"]).rsplit("::", 1)[-1]
    if status == "open" and (int(about["peer_closed_word_"]["_M_i"]) or bool(about["peer_gone_"]["_M_base"]["_M_i"])):
        return "open, its peer is gone"
    return status


def unread(endpoint):
    """Messages to be read here, and by the peer; not where the memory is not mapped or not in the core dump."""
    page, side = endpoint["page_"].dereference(), int(endpoint["side_"])
    counts = []
    for writer in (1 - side, side):
        lines = page["direction"][writer]
        posted = int(lines["writer"]["posted"]["message_count"]["_M_i"])
        counts.append(max(0, posted - int(lines["reader"]["progress"]["message_count"]["_M_i"])))
    return f", {counts[0]} unread, {counts[1]} unread by the peer"


def describe(port):
    pointer = port["state_"]["_M_ptr"]
    if int(pointer) == 0:
        return "detached"
    state = complete(pointer, "portolan::port::PortState")
    name = f"channel {channel_id(state)}"
    used = pointer_in(state["used_"])
    if int(used) == 0:
        return f"{'closed or moved away' if bool(state['gone_']) else 'not used yet'}, {name}"
    endpoint = complete(used, "portolan::port::Endpoint")
    status = standing(endpoint)
    text = f"{status}, {name}{label(endpoint)}"
    return text + unread(endpoint) if status.startswith("open") else text


class PortPrinter:
    def __init__(self, port):
        self.port = port

    def to_string(self):
        try:
            return f"MessagePort ({describe(self.port)})"
        except gdb.MemoryError:
            return "MessagePort (its memory cannot be read)"
        except gdb.error as error:
            return f"MessagePort (not shown without the debug information of libportolan: {error})"


class ChannelPrinter:
    def __init__(self, channel):
        self.channel = channel

    def to_string(self):
        return "MessageChannel"

    def children(self):
        yield "port1", self.channel["port1"]
        yield "port2", self.channel["port2"]


def printers():
    collection = gdb.printing.RegexpCollectionPrettyPrinter("portolan")
    collection.add_printer("MessagePort", r"^portolan::(v1::)?MessagePort$", PortPrinter)
    collection.add_printer("MessageChannel", r"^portolan::(v1::)?MessageChannel$", ChannelPrinter)
    return collection


gdb.printing.register_pretty_printer(gdb.current_objfile(), printers(), replace=True)
