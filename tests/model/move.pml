// SPDX-License-Identifier: Apache-2.0

// Who owns an endpoint: it moves from process to process by its generation, each mover may be refused by the kernel or
// killed at any step, a twin holds duplicates of the first transit's descriptors, and a keeper those of the first owner.
//
// Stores become visible late and in order (TSO); a compare-and-swap empties the buffer; a killed owner's stores are all
// visible before it counts as dead.
//
// Property: never two owners; whoever adopts after a move finds what the mover left; a receiver loses only to the twin;
// with nobody killed, or with the first owner killed before its mark, somebody owns the endpoint in the end.

//! clean quick -DHOPS=2 -DKILLS=1
//! clean -DHOPS=3 -DKILLS=2 -DREFUSALS=2
//! mutant NO_MARK_BEFORE_SEND quick -DHOPS=1 -DKILLS=0
//! mutant NO_EXPECTED_VALUE quick -DHOPS=1 -DKILLS=0
//! mutant NO_SWAP quick -DHOPS=1 -DKILLS=0
//! mutant NO_SWAP_BACK quick -DHOPS=1 -DKILLS=0
//! mutant NO_PLACE_BEFORE_MARK quick -DHOPS=1 -DKILLS=0
//! mutant NO_PIDFD quick -DHOPS=1 -DKILLS=0
//! mutant NO_LOOK_FOR_TRANSIT quick -DHOPS=1 -DKILLS=1
//! mutant NO_OWNER_IN_CUSTODY quick -DHOPS=1 -DKILLS=1

#ifndef HOPS
#define HOPS 2                     // moves; one process more
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef REFUSALS
#define REFUSALS 1                 // of sendmsg
#endif

#define IN_TRANSIT 1
#define NEXT(g) ((((g) | IN_TRANSIT) + 1))
#define FIRST 2                    // generation of the first owner, in the keeper's handle

byte generation = FIRST;           // shared
byte place;                        // shared, in the owner's lines
byte progress;                     // where the owner really is
byte owners = 1, kills = KILLS, refusals = REFUSALS;
bit dead, killed_before_mark, twin_won, marked;
chan packet[HOPS + 1] = [2] of { byte };      // to each process: the expected generation
chan stores[HOPS + 1] = [1] of { byte };

#define MAYBE_KILLED  if :: atomic { kills > 0 -> kills--; goto killed } :: skip fi

active proctype Memory() {
  byte i, value;
end:
  do
  :: atomic { stores[0]?value -> place = value; value = 0 }
  :: atomic { stores[1]?value -> place = value; value = 0 }
#if HOPS > 1
  :: atomic { stores[2]?value -> place = value; value = 0 }
#endif
#if HOPS > 2
  :: atomic { stores[3]?value -> place = value; value = 0 }
#endif
  od
}

inline now_owner() {
  owners++;
  assert(owners == 1)
}

// expected -> NEXT(expected); `won` says whether.
inline adopt(expected, won) {
#if defined(NO_EXPECTED_VALUE)
  atomic { won = 1; generation = NEXT(generation); now_owner() }
#elif defined(NO_SWAP)
  won = (generation == expected);
  atomic { if :: won -> generation = NEXT(expected); now_owner() :: else fi }
#else
  atomic { won = (generation == expected); if :: won -> generation = NEXT(expected); now_owner() :: else fi }
#endif
}

proctype Process(byte id) {
  byte own = FIRST, expected;
  bit owns = (id == 0), won;
  if
  :: id == 0
  :: else ->
end_waits:
    packet[id]?expected;
    MAYBE_KILLED;
    adopt(expected, won);
    if
    :: atomic { won -> owns = 1; own = NEXT(expected); assert(place == progress) }
    :: else -> assert(twin_won); goto gone
    fi
  fi;
again:
  MAYBE_KILLED;
  if :: id == HOPS -> goto gone :: else fi;
#ifndef NO_PLACE_BEFORE_MARK
  atomic { progress++; stores[id]!progress };
  MAYBE_KILLED;
#else
  progress++;
#endif
#ifndef NO_MARK_BEFORE_SEND
  atomic {
    empty(stores[id]);
    if
    :: generation == own -> generation = own | IN_TRANSIT; owns = 0; owners--; marked = 1
    :: else -> goto gone
    fi
  };
  MAYBE_KILLED;
#endif
#ifdef NO_PLACE_BEFORE_MARK
  stores[id]!progress;
#endif
  if
  :: atomic { refusals > 0 -> refusals-- };
    MAYBE_KILLED;
#ifdef NO_SWAP_BACK
    won = 1;
    generation = own;
#elif !defined(NO_MARK_BEFORE_SEND)
    atomic { won = (generation == (own | IN_TRANSIT)); if :: won -> generation = own :: else fi };
#else
    won = 0;
#endif
    if :: atomic { won -> owns = 1; won = 0; now_owner() } :: else fi;
    if :: owns -> goto again :: else -> goto gone fi
#ifndef NO_MARK_BEFORE_SEND
  :: packet[id + 1]!(own | IN_TRANSIT)
#else
  :: packet[id + 1]!own
#endif
  fi;
  MAYBE_KILLED;
  atomic { if :: owns && id != HOPS -> owns = 0; owners-- :: else fi };
  goto gone;
killed:
  atomic {
    empty(stores[id]);
    if :: owns -> owners-- :: else fi;
    if :: id == 0 -> killed_before_mark = (generation == FIRST) :: else fi
  };
gone:
  // A process that has moved its port on may end like any other.
  if :: id == 0 -> dead = 1 :: else fi
}

// Has duplicates of what the first mover sends, and its expected generation; or thinks better of it.
active proctype Twin() {
  bit won;
  if
  :: marked -> atomic { adopt((FIRST | IN_TRANSIT), won); twin_won = won }
  :: skip
  fi
}

active proctype Keeper() {
  byte present;
#ifndef NO_PIDFD
  dead;
#endif
  present = generation;
#ifdef NO_LOOK_FOR_TRANSIT
  if :: (present & ~IN_TRANSIT) == FIRST :: else -> goto drops fi;
#elif defined(NO_OWNER_IN_CUSTODY)
  if :: present & IN_TRANSIT -> goto drops :: else fi;
#else
  if :: present == FIRST :: else -> goto drops fi;
#endif
  atomic { if :: generation == present -> generation = NEXT(present); now_owner() :: else fi };
drops:
  skip
}

active proctype Last() {
  timeout;
  assert((kills < KILLS && !killed_before_mark) || owners == 1)
}

init {
  byte id;
  atomic { for (id : 0 .. HOPS) { run Process(id) } }
}
