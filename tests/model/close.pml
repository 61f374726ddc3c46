// SPDX-License-Identifier: Apache-2.0

// An endpoint ends: its owner closes it, or is killed with all its threads at any step, also in the middle of a close or
// of a move, and one of two holders of duplicates goes on for it. The peer reads on, and tells `close` once.
//
// The owner's stores become visible late: in order (TSO), or with -DWEAK a relaxed store out of order. A system call
// comes after them. A packet with a port lies in the own queue: it goes with the last duplicate, or when it is drained.
//
// Property: everything that was posted is delivered before `close` is told, with the reason that was given; `close` is
// told once, and while nobody owns the endpoint; whoever closes leaves nothing in the queue.

//! clean quick -DN=2 -DKILLS=1
//! clean quick -DN=2 -DKILLS=1 -DWEAK
//! clean quick -DN=1 -DKILLS=0 -DMOVES
//! clean -DN=3 -DKILLS=1 -DMOVES -DWEAK
//! mutant NO_FLAG_RELEASE quick -DN=1 -DKILLS=0 -DWEAK
//! mutant NO_LOOK_AFTER_END quick -DN=1 -DKILLS=0
//! mutant NO_REASON_FIRST quick -DN=1 -DKILLS=0
//! mutant NO_ADOPTER_FINISHES quick -DN=1 -DKILLS=1
//! mutant NO_PLAIN_CLOSE quick -DN=1 -DKILLS=1
//! mutant NO_DRAIN quick -DN=1 -DKILLS=0
//! mutant NO_ONE_CLOSER quick -DN=1 -DKILLS=0 -DMOVES
//! mutant NO_WAIT_FOR_MOVER quick -DN=1 -DKILLS=0 -DMOVES

#define HEADER 0                   // the words that are stored
#define CLOSED 1

#define OPEN   0                   // the endpoint within its process
#define MOVING 1
#define CLOSING 2                  // a close waits for the end of the move
#define SHUT   3
#define GONE   4                   // moved away

#define FIRST 2                    // generations: of the owner, and of whoever goes on for it
#define ADOPTED 4

byte word[2];                      // in the segment: messages published, and the reason of a close
byte generation = FIRST;
byte posted;
byte status = OPEN;
byte copies = 3;                   // of the socket: the owner's, and one of each holder
bit has_copy = 1;                  // the owner, of the socket; not once it has closed it or sent it away
bit queued = 1, hung_up, killed, dead, adopted, finished;
byte told, shut_count;
chan stores = [3] of { byte, byte };

active proctype Memory() {
  byte value;
end:
  do
  :: atomic { stores?HEADER,value -> word[HEADER] = value; value = 0 }
  :: atomic { stores?CLOSED,value -> word[CLOSED] = value; value = 0 }
#ifdef WEAK
#ifdef NO_FLAG_RELEASE
  :: atomic { stores??CLOSED,value -> word[CLOSED] = value; value = 0 }
#endif
#endif
  od
}

// The last of them takes the queue along, and the peer sees the hang-up.
inline let_go_of_copy() {
  atomic { copies--; if :: copies == 0 -> queued = 0; hung_up = 1 :: else fi }
}

inline let_go_of_own_copy() {
  atomic { has_copy = 0; copies--; if :: copies == 0 -> queued = 0; hung_up = 1 :: else fi }
}

// Of one process: whoever goes on for a killed one begins anew.
inline finish_close() {
  atomic { shut_count++; assert(shut_count == 1) };
#ifndef NO_DRAIN
  queued = 0;
#endif
  atomic { empty(stores); finished = 1 }
}
inline close_endpoint() {
#ifdef NO_REASON_FIRST
  atomic { empty(stores); hung_up = 1 };
  stores!CLOSED,1;
#else
  stores!CLOSED,1;
  atomic { empty(stores); hung_up = 1 };
#endif
  finish_close();
  let_go_of_own_copy()
}

// From `killed` on no thread of the owner's process takes a step; what it has stored becomes visible before it counts
// as dead.
active proctype Killer() {
  if
  :: KILLS > 0 ->
     killed = 1;
     atomic { empty(stores); shut_count = 0; dead = 1 };
     if :: has_copy -> let_go_of_own_copy() :: else fi
  :: skip
  fi
}

active proctype Owner() {
  bit first;
  {
    do
    :: atomic { posted < N && nfull(stores) -> posted++; stores!HEADER,posted }
    :: posted == N -> break
    od;
#ifdef MOVES
    // Sent, and adopted by another process at once; or refused by the kernel.
    atomic { if :: status == OPEN -> status = MOVING; first = 1 :: else fi };
    if
    :: first ->
       first = 0;
       if
       :: atomic { empty(stores); generation = ADOPTED; adopted = 1; copies++; status = GONE };
          let_go_of_own_copy()
       :: atomic { if :: status == CLOSING -> status = SHUT; first = 1 :: else -> status = OPEN fi };
          if :: first -> close_endpoint(); first = 0 :: else fi
       fi
    :: else
    fi;
#endif
#ifdef NO_ONE_CLOSER
    first = (status == OPEN);
    status = SHUT;
#else
    atomic { first = (status == OPEN); if :: first -> status = SHUT :: else fi };
#endif
    if :: first -> close_endpoint() :: else fi
  } unless { killed }
}

#ifdef MOVES
// Another thread of the owner's process.
active proctype OtherCloser() {
  bit first;
  {
    posted == N;
#if defined(NO_ONE_CLOSER)
    first = (status == OPEN);
    status = SHUT;
#elif defined(NO_WAIT_FOR_MOVER)
    atomic { first = (status == OPEN || status == MOVING); if :: first -> status = SHUT :: else fi };
#else
    atomic {
      if
      :: status == OPEN -> status = SHUT; first = 1
      :: status == MOVING -> status = CLOSING
      :: else
      fi
    };
#endif
    if :: first -> close_endpoint() :: else fi
  } unless { killed }
}
#endif

// Has duplicates: takes them up once the owner has ended, or keeps them for ever.
proctype Holder() {
  bit won;
  if
  :: dead ->
     atomic { won = (generation == FIRST); if :: won -> generation = ADOPTED :: else fi };
     if
     :: won ->
#ifndef NO_ADOPTER_FINISHES
        if
        :: word[CLOSED] != 0 -> hung_up = 1; finish_close(); let_go_of_copy()
        :: else -> adopted = 1
        fi
#else
        adopted = 1
#endif
     :: else ->
#ifdef NO_PLAIN_CLOSE
        hung_up = 1;
#endif
        let_go_of_copy()
     fi
  :: skip
  fi
}

active proctype Peer() {
  byte read;
  bit ended;
look:
  if
  :: atomic { read < word[HEADER] -> read++ }; goto look
  :: read == word[HEADER]
  fi;
  if
  :: ended -> goto tell
  :: else
  fi;
  if
  :: word[CLOSED] != 0 || hung_up ->
#ifdef NO_LOOK_AFTER_END
     goto tell;
#endif
     ended = 1;
     goto look
  :: else
  fi;
end_waits:
  (read < word[HEADER] || word[CLOSED] != 0 || hung_up);
  goto look;
tell:
  atomic {
    told++;
    assert(told == 1);
    assert(read == posted);
    assert(dead || word[CLOSED] != 0);
    assert(!adopted)
  }
}

active proctype Last() {
  timeout;
  assert(!(adopted && (hung_up || word[CLOSED] != 0)));
  assert(adopted || told == 1 || copies > 0);
  assert(!finished || (told == 1 && !queued))
}

init {
  atomic { run Holder(); run Holder() }
}
