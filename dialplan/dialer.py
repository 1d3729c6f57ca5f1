#!/usr/bin/env python3
"""A small dialer for queues without mod_callcenter, to start from: it calls a list of members, one after the other.

    ESL_PASSWORD=… ./dialer.py progressive sales --gateway sofia/gateway/carrier \\
        --agent 1000@default=user/1000 --agent 1001@default=user/1001 40733000046 40733000047

The type says who is called first, and how many agents at once:

    progressive    the member; when he answers, the agents in turn
    predictive     the member; when he answers, all agents at once, and whoever answers first gets him
    preview        the agents in turn; when one answers, the member
    offline        the same, of a list that the agent works off
    outbound_ivr   the member; when he answers, the dialplan plays

Members are called by FreeSWITCH's `originate`, over the Event Socket; members who are reached go on in outbound.xml. hookswitch
follows each call by the variables that are set here: queue, side and attempt.
"""

import argparse
import os
import re
import socket
import sys
import time
import uuid

# What may stand in a dial string: nothing that begins another variable, leg or command.
SAFE = re.compile(r"[\w.+@:/=-]+")


class EventSocket:
    """Commands to FreeSWITCH, one at a time."""

    def __init__(self, address, password):
        host, port = address.rsplit(":", 1)
        # An `originate` answers when the phone does, or has rung long enough.
        self.file = socket.create_connection((host, int(port)), timeout=180).makefile("rwb")
        self.read()
        if not self.send(f"auth {password}")[0].get("Reply-Text", "").startswith("+OK"):
            sys.exit("FreeSWITCH refused the password")

    def send(self, line):
        self.file.write(line.encode() + b"\n\n")
        self.file.flush()
        return self.read()

    def read(self):
        headers = {}
        while line := self.file.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name] = value
        if not headers:
            sys.exit("FreeSWITCH has closed the connection")
        return headers, self.file.read(int(headers.get("Content-Length", 0))).decode()

    def api(self, command):
        return self.send(f"api {command}")[1].strip()


def safe(text):
    if not SAFE.fullmatch(text):
        sys.exit(f"{text!r} cannot stand in a dial string")
    return text


def agent_of(text):
    name, _, contact = text.partition("=")
    if not contact:
        raise argparse.ArgumentTypeError("an agent is NAME=CONTACT")
    return safe(name), safe(contact)


def marks(options, side, attempt, **more):
    """The variables of a leg."""
    variables = {"hookswitch_queue": options.queue, "hookswitch_side": side, "hookswitch_attempt": attempt, **more}
    return [f"{name}={value}" for name, value in variables.items()]


def call_member(fs, options, number, attempt, channel):
    """Calls the member; who is reached goes to the agents, or to what is played. Says what came of it."""
    more = {"origination_uuid": channel, "ignore_early_media": "true", "originate_timeout": options.ring}
    if options.caller:
        more["origination_caller_id_number"] = options.caller
    if options.amd:
        more["hookswitch_amd"] = "true"
    variables = marks(options, "member", attempt, **more)
    extension = "4610"
    if options.type != "outbound_ivr":
        legs = [f"[{','.join(marks(options, 'agent', attempt, cc_agent=name))}]{contact}" for name, contact in options.agent]
        variables.append("dialer_agents=" + ("," if options.type == "predictive" else "|").join(legs))
        extension = "4600"
    # The agents' dial string has commas of its own.
    return fs.api(f"originate {{^^;{';'.join(variables)}}}{options.gateway}/{number} {extension} XML {options.context}")


def call_agents(fs, options, number, attempt, channel):
    """Calls agents until one answers, who is connected with the member. Says what came of the last."""
    member = ",".join(marks(options, "member", attempt, origination_uuid=channel, leg_timeout=options.ring))
    answer = "no agent"
    for name, contact in options.agent:
        more = {"cc_agent": name, "originate_timeout": options.ring, "hangup_after_bridge": "true"}
        variables = ",".join(marks(options, "agent", attempt, **more))
        answer = fs.api(f"originate {{{variables}}}{contact} &bridge([{member}]{options.gateway}/{number})")
        if answer.startswith("+OK"):
            break
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("type", choices=["progressive", "predictive", "preview", "offline", "outbound_ivr"])
    parser.add_argument("queue", type=safe)
    parser.add_argument("numbers", nargs="+", type=safe)
    parser.add_argument("--agent", action="append", default=[], type=agent_of, help="NAME=CONTACT; may be repeated")
    parser.add_argument("--gateway", required=True, type=safe, help="what stands before a number: sofia/gateway/carrier")
    parser.add_argument("--suffix", default="", type=lambda text: text and safe(text), help="what stands behind it")
    parser.add_argument("--caller", type=safe, help="the number that members see")
    parser.add_argument("--ring", default=30, type=int, help="how many seconds a phone may ring")
    parser.add_argument("--amd", action="store_true", help="a detector of answering machines judges who answers")
    parser.add_argument("--context", default="default", type=safe)
    parser.add_argument("--address", default="127.0.0.1:8021")
    options = parser.parse_args()
    if options.type != "outbound_ivr" and not options.agent:
        parser.error("this type needs --agent")
    fs = EventSocket(options.address, os.environ.get("ESL_PASSWORD", "ClueCon"))
    call = call_agents if options.type in ("preview", "offline") else call_member
    for number in options.numbers:
        attempt, channel = f"A-{uuid.uuid4()}", str(uuid.uuid4())
        answer = call(fs, options, number + options.suffix, attempt, channel)
        print(f"{number}: {answer}", flush=True)
        # One call at a time: the next begins when this one is over.
        while answer.startswith("+OK") and fs.api(f"uuid_exists {answer[4:].strip()}") == "true":
            time.sleep(0.5)


if __name__ == "__main__":
    main()
