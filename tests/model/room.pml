// SPDX-License-Identifier: Apache-2.0

// Waiting for room in one direction: the writing end has two threads, one that posts and sleeps on the futex, and a
// loop that was asked to tell of a drain and sleeps on the socket. Both speak through the one sleep word, under a lock
// of their process. The reader hands back, and looks at the word.
//
// Stores become visible late and in order (TSO), each thread's from its own buffer. No sleep ends by itself: a lost
// wake-up is a state from which nobody can go on, an invalid end state.
//
//! clean quick -DN=3
//! clean -DN=4
//! mutant NO_SUM quick -DN=3
//! mutant NO_LOCK quick -DN=3
//! mutant NO_ROOM_BARRIER quick -DN=3
//! mutant NO_LOOP_BARRIER quick -DN=3
//! mutant NO_RELEASE_FENCE quick -DN=3
//! mutant NO_WORD_TO_THE_LOOP quick -DN=3
//! mutant NO_LAST_LOOK_FOR_ROOM quick -DN=3

#ifndef N
#define N 3              // messages posted
#endif
#define ROOM 2           // that fit; the drain is told when all of them are free

#define POSTED   0       // poster
#define RELEASED 1       // reader; the futex
#define WORD     2       // both threads of the writing end: epoch, and the two states
#define LOCK     3       // of the word; private to their process

#define ON_FUTEX  1
#define ON_SOCKET 2
#define NEVER     255

byte mem[4];
chan poster_stores = [4] of { byte, byte };
chan loop_stores = [4] of { byte, byte };
chan reader_stores = [2] of { byte, byte };
bit on_futex, on_socket;           // what the lock guards: who sleeps,
byte epoch;                        // and the epoch
bit futex_waits, edge, bell;       // in FUTEX_WAIT; at the loop's epoll
bit drain_wanted;                  // private to the process; one request
bit finished;
byte posted;                       // as the threads of the process know it

#define FENCE(q)  empty(q)
#define STORE(q, a, v)  q!a,v
#define FREE  (ROOM - (posted - mem[RELEASED]))

active proctype Memory() {
  byte a, v;
end:
  do
  :: atomic { poster_stores?a,v -> mem[a] = v; a = 0; v = 0 }
  :: atomic { loop_stores?a,v -> mem[a] = v; a = 0; v = 0 }
  :: atomic { reader_stores?a,v -> mem[a] = v; a = 0; v = 0 }
  od
}

// Taking the lock is a full barrier; giving it back is a store.
inline lock(q) {
#ifndef NO_LOCK
  atomic { !mem[LOCK] && empty(q) -> mem[LOCK] = 1 }
#else
  skip
#endif
}
inline unlock(q) {
#ifndef NO_LOCK
  STORE(q, LOCK, 0)
#else
  skip
#endif
}

// A thread says that it sleeps, or no longer does: the word is the sum of both.
inline announce(q, mine, sleeps, own) {
  lock(q);
  mine = sleeps;
  next = (epoch + 4) & 127;
  epoch = next;
#ifdef NO_SUM
  STORE(q, WORD, next | (sleeps * own));
#else
  STORE(q, WORD, next | (on_futex * ON_FUTEX) | (on_socket * ON_SOCKET));
#endif
  next = 0;
  unlock(q)
}

active proctype Poster() {
  byte seen, next;
  bit full_once;
  do
  :: posted == N -> break
  :: posted < N && FREE > 0 -> atomic { posted++; STORE(poster_stores, POSTED, posted) }
  :: posted < N && FREE == 0 ->
     if
     :: !full_once ->
        atomic { full_once = 1; drain_wanted = 1 }
#ifndef NO_WORD_TO_THE_LOOP
        bell = 1
#endif
     :: else
     fi;
     seen = mem[RELEASED];
     announce(poster_stores, on_futex, 1, ON_FUTEX);
#ifndef NO_ROOM_BARRIER
     FENCE(poster_stores);
#endif
     if
#ifndef NO_LAST_LOOK_FOR_ROOM
     :: FREE > 0
     :: FREE == 0 ->
#else
     :: true ->
        seen = mem[RELEASED];
#endif
        atomic {
          if
          :: mem[RELEASED] == seen -> futex_waits = 1
          :: else
          fi
        }
        !futex_waits
     fi;
     seen = 0;
     announce(poster_stores, on_futex, 0, ON_FUTEX)
  od;
  finished = 1
}

#define DRAINED  (posted == mem[RELEASED])
#define NOTHING_TO_TELL  (finished && !drain_wanted)

active proctype Loop() {
  byte next;
  do
  :: NOTHING_TO_TELL -> break
  :: drain_wanted && DRAINED -> drain_wanted = 0
  :: !NOTHING_TO_TELL && !(drain_wanted && DRAINED) ->
     if
     :: drain_wanted -> announce(loop_stores, on_socket, 1, ON_SOCKET)
     :: !drain_wanted
     fi;
#ifndef NO_LOOP_BARRIER
     FENCE(loop_stores);
#endif
     if
     :: drain_wanted && DRAINED
     :: !(drain_wanted && DRAINED) ->
        if
        :: NOTHING_TO_TELL
        :: atomic { edge -> edge = 0 }
        :: atomic { bell -> bell = 0 }
        fi
     fi;
     if
     :: on_socket -> announce(loop_stores, on_socket, 0, ON_SOCKET)
     :: !on_socket
     fi
  od
}

active proctype Reader() {
  byte released, word, answered = NEVER;
  do
  :: released == N -> break
  :: released < N && mem[POSTED] > released ->
     atomic { released++; STORE(reader_stores, RELEASED, released) }
#ifndef NO_RELEASE_FENCE
     FENCE(reader_stores);
#endif
     word = mem[WORD];
     if
     :: word & ON_FUTEX -> atomic { FENCE(reader_stores) -> futex_waits = 0 }
     :: else
     fi;
     if
     :: (word & ON_SOCKET) && word != answered && released == mem[POSTED] ->
        atomic { FENCE(reader_stores) -> edge = 1; answered = word }
     :: else
     fi;
     word = 0
  od
}
