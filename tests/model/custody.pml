// SPDX-License-Identifier: Apache-2.0

// portoland holds duplicates of an endpoint's descriptors for its owner's successor. The owner may move the endpoint on
// or close it, and is killed at any step; successors come, and may be killed before or after they have adopted it; in the
// end the duration is over. The daemon maps nothing: it reads the generation and the flag, and reads them again later.
//
// Property: never two owners; nobody's endpoint is closed but by its owner; what has no owner and no way to one in the
// end is closed, so that the peer is told.

//! clean quick -DSUCCESSORS=2 -DKILLS=2
//! clean -DSUCCESSORS=3 -DKILLS=3
//! mutant NO_WAIT_FOR_THE_END quick -DSUCCESSORS=1 -DKILLS=1
//! mutant NO_LOOK_BEFORE_HAND_OVER quick -DSUCCESSORS=1 -DKILLS=1
//! mutant NO_TRANSIT_LEFT_ALONE quick -DSUCCESSORS=1 -DKILLS=1
//! mutant NO_CANCELLED_DEADLINE quick -DSUCCESSORS=1 -DKILLS=1
//! mutant NO_GENERATION_AFTER_SUCCESSOR quick -DSUCCESSORS=2 -DKILLS=2

#define IN_TRANSIT 1
#define NEXT(g) (((g) | IN_TRANSIT) + 1)
#define FIRST 2
#define NOBODY 255

byte generation = FIRST;           // in the segment
bit closed;                        // likewise, by an owner
bit expired;                       // or by the daemon
byte owners = 1, kills = KILLS;
byte holders = 2;                  // of descriptors: the owner, the daemon; a packet under way is one as well
byte packet;                       // to another process: the generation that it is to find

byte kept = FIRST;                 // the daemon's: the generation that its duplicates stand for
byte waits_for = 0;                // whose end it waits for: 0 the first owner, then the successors
bit ended[SUCCESSORS + 1];
bit handed_on, holds = 1;
byte came;                         // successors so far
chan given[SUCCESSORS + 1] = [1] of { byte };

#define MAYBE_KILLED  if :: atomic { kills > 0 -> kills--; goto killed } :: skip fi

inline now_owner() {
  owners++;
  assert(owners == 1 && !expired)
}
#define TOLD  (closed || expired || holders == 0)     // the peer is

// An owner: the first one, or a successor that has adopted it with this generation.
inline own(id, present) {
  MAYBE_KILLED;
  if
  :: atomic { generation == present -> closed = 1; owners-- }       // closes
  :: atomic { generation == present && !packet -> generation = present | IN_TRANSIT; owners-- };  // moves it on
     MAYBE_KILLED;
     atomic { packet = present | IN_TRANSIT; holders++ }
  :: MAYBE_KILLED                                                   // keeps it, to its end
  fi
}
// What is left of an owner is its descriptors' end, and that nobody owns what it owned.
inline die(id, present, owned) {
  atomic {
    if :: owned && generation == present && !closed -> owners-- :: else fi;
    ended[id] = 1
  };
  holders--
}

active proctype Owner() {
  own(0, FIRST);
killed:
  die(0, FIRST, 1)
}

active proctype Receiver() {
end_waits:
  atomic { packet != 0 -> if :: generation == packet -> generation = NEXT(packet); now_owner() :: else fi }
}

proctype Successor(byte id) {
  byte expected;
  bit owned;
end_waits:
  given[id]?expected;
  if
  :: expected == NOBODY -> goto gone
  :: else
  fi;
  MAYBE_KILLED;
  atomic {
    owned = (generation == expected);
    if :: owned -> generation = NEXT(expected); now_owner() :: else fi
  };
  if
  :: owned && closed -> skip
  :: owned -> own(id, NEXT(expected))
  :: else
  fi;
killed:
  die(id, NEXT(expected), owned);
gone:
  skip
}

// Which of both generations it stands for: that before the successor's adoption, or that behind it.
inline look(found_recoverable, found_in_transit) {
  d_step {
    found_recoverable = (generation == kept);
    found_in_transit = (generation == (kept | IN_TRANSIT));
#ifndef NO_GENERATION_AFTER_SUCCESSOR
    if
    :: handed_on && !found_recoverable && !found_in_transit ->
       found_recoverable = (generation == NEXT(kept));
       found_in_transit = (generation == (NEXT(kept) | IN_TRANSIT));
       if :: found_recoverable -> kept = NEXT(kept); handed_on = 0 :: else fi
    :: else
    fi
#endif
  }
}

active proctype Daemon() {
  bit recoverable, in_transit;
  do
  :: holds && came < SUCCESSORS ->                         // a successor asks
#ifndef NO_WAIT_FOR_THE_END
     ended[waits_for];
#endif
     came++;
     look(recoverable, in_transit);
     if
#ifdef NO_LOOK_BEFORE_HAND_OVER
     :: true ->
#else
     :: closed || (!recoverable && !in_transit) ->
        atomic { assert(closed || owners == 1); given[came]!NOBODY; holds = 0; holders-- }
     :: !closed && in_transit -> given[came]!NOBODY
     :: !closed && recoverable ->
#endif
        atomic { holders++; handed_on = 1; waits_for = came };
#ifdef NO_LOOK_BEFORE_HAND_OVER
        given[came]!generation
#else
        given[came]!kept
#endif
     fi
  :: holds ->                                              // the duration is over, of an owner that has ended
#ifndef NO_CANCELLED_DEADLINE
     ended[waits_for];
#else
     ended[0];
#endif
     look(recoverable, in_transit);
     if
#ifdef NO_TRANSIT_LEFT_ALONE
     :: !closed && (recoverable || in_transit) ->
#else
     :: !closed && recoverable ->
#endif
        atomic { assert(owners == 0); expired = 1 }
     :: else
     fi;
     holds = 0;
     holders--
  :: !holds -> break
  od
}

active proctype Last() {
  timeout;
  assert(owners == 1 || TOLD)
}

init {
  byte id;
  atomic { for (id : 1 .. SUCCESSORS) { run Successor(id) } }
}
