// SPDX-License-Identifier: Apache-2.0

// Sleeping and waking in one direction: light sleep on the data word, deep sleep on the socket behind an
// edge-triggered epoll, a writer that waits for room, doorbells that share the socket with transfers, a second thread
// of the reader's end that stops it, and owners that are killed anywhere and adopted.
//
// Stores become visible late and in order (TSO). A system call that takes a lock, as send and FUTEX_WAKE do,
// is a full barrier.
// Light sleeps may time out (unless LIGHT_ONLY), deep sleeps never: the re-arm once a second is left out, so that it
// hides nothing. A lost wake-up is then a state from which nobody can go on: an invalid end state.
//
//! clean quick -DN=2
//! clean quick -DN=3 -DLIGHT_ONLY -DROOM=1
//! clean quick -DN=1 -DSTOP
//! clean quick -DN=2 -DDEEP_ONLY -DTRANSFERS -DMEMBARRIER=0
//! clean -DN=2 -DDEEP_ONLY -DTRANSFERS
//! clean long -DN=3 -DDEEP_ONLY -DTRANSFERS
//! clean -DN=3 -DDEEP_ONLY -DTRANSFERS -DMEMBARRIER=0
//! clean quick -DN=2 -DDEEP_ONLY -DSEND_FAILS
//! clean -DN=3 -DDEEP_ONLY -DSEND_FAILS
//! clean -DN=4 -DLIGHT_ONLY -DROOM=1
//! clean long -DN=2 -DSTOP
//! clean -DN=2 -DDEEP_ONLY -DREADER_KILLS=1 -DFIRST_OWNER_ONLY
//! clean long -DN=1 -DDEEP_ONLY -DTRANSFERS -DWRITER_KILLS=1 -DSOCKET=6 -DMEMBARRIER=1
//! clean -DN=1 -DWRITER_KILLS=1
//! clean -DN=1 -DREADER_KILLS=1
//! clean -DN=1 -DDEEP_ONLY -DREADER_KILLS=2
//! clean -DN=2 -DLIGHT_ONLY -DROOM=1 -DREADER_KILLS=1 -DMEMBARRIER=1
//! clean -DN=1 -DDEEP_ONLY -DTRANSFERS -DHANG_UP -DWRITER_KILLS=1
//! clean long -DN=3 -DDEEP_ONLY -DREADER_KILLS=1 -DFIRST_OWNER_ONLY
//! clean long -DN=2 -DDEEP_ONLY -DTRANSFERS -DWRITER_KILLS=1 -DSOCKET=6 -DMEMBARRIER=1
//! clean long -DN=2 -DWRITER_KILLS=1
//! clean long -DN=2 -DREADER_KILLS=1
//! clean long -DN=2 -DDEEP_ONLY -DREADER_KILLS=2
//! clean long -DN=3 -DLIGHT_ONLY -DROOM=1 -DREADER_KILLS=1 -DMEMBARRIER=1
//! clean long -DN=2 -DDEEP_ONLY -DTRANSFERS -DHANG_UP -DWRITER_KILLS=1
//! mutant NO_WRITER_FENCE quick -DN=2
//! mutant NO_READER_BARRIER quick -DN=2
//! mutant NO_MEMBARRIER_CALL quick -DN=2
//! mutant NO_BARRIER_WHERE_UNHEARD quick -DN=3 -DDEEP_ONLY
//! mutant NO_LAST_LOOK quick -DN=2
//! mutant NO_FUTEX_ON_DATA quick -DN=2 -DLIGHT_ONLY
//! mutant NO_LOOK_AT_ITS_HEADER quick -DN=3 -DLIGHT_ONLY
//! mutant NO_EPOCH quick -DN=2
//! mutant NO_CONTINUED_EPOCH quick -DN=2 -DREADER_KILLS=1 -DMEMBARRIER=0
//! mutant NO_ADOPTER_RINGS quick -DN=2 -DWRITER_KILLS=1 -DMEMBARRIER=0
//! mutant NO_BOUNDED_ROUNDS quick -DN=2 -DDEEP_ONLY -DREADER_KILLS=1 -DFIRST_OWNER_ONLY
//! mutant NO_ACKNOWLEDGEMENT_FIRST quick -DN=2 -DREADER_KILLS=1
//! mutant NO_FENCE_ON_CHANGE -DN=3 -DDEEP_ONLY -DREADER_KILLS=1 -DFIRST_OWNER_ONLY
//! mutant NO_DRAIN quick -DN=3 -DDEEP_ONLY -DSOCKET=2
//! mutant NO_WHOLE_DRAIN quick -DN=3 -DDEEP_ONLY -DSOCKET=2
//! mutant NO_QUEUE_LENGTH_FIRST quick -DN=2 -DDEEP_ONLY -DTRANSFERS
//! mutant NO_NUMBER_CHECK quick -DN=2 -DDEEP_ONLY -DTRANSFERS
//! mutant NO_ROOM_FOR_DOORBELL quick -DN=2 -DDEEP_ONLY -DTRANSFERS -DSOCKET=1
//! mutant NO_ANSWER_AFTER_RING quick -DN=2 -DDEEP_ONLY -DSEND_FAILS
//! mutant NO_MARK -DN=2 -DDEEP_ONLY -DTRANSFERS -DWRITER_KILLS=1 -DMEMBARRIER=0
//! mutant NO_ROOM_BARRIER quick -DN=3 -DLIGHT_ONLY -DROOM=1
//! mutant NO_RELEASE_FENCE quick -DN=3 -DLIGHT_ONLY -DROOM=1
//! mutant NO_NUDGE_COUNT_FIRST quick -DN=1 -DSTOP
//! mutant NO_BELL quick -DN=1 -DSTOP
//! mutant NO_LISTENING_FIRST quick -DN=1 -DSTOP
//! mutant NO_LOOK_AFTER_HANG_UP quick -DN=2 -DHANG_UP -DWRITER_KILLS=1

#ifndef N
#define N 2              // messages
#endif
#ifndef WRITER_KILLS
#define WRITER_KILLS 0
#endif
#ifndef READER_KILLS
#define READER_KILLS 0
#endif
#ifndef ROOM
#define ROOM 9           // messages that fit; 9: there is always room
#endif
#ifndef SOCKET
#define SOCKET 3         // packets that fit into the socket's queue
#endif
#ifdef NO_ROOM_FOR_DOORBELL
#define TRANSFER_ROOM SOCKET
#else
#define TRANSFER_ROOM (SOCKET - 1)
#endif
#define FRAMES (N + WRITER_KILLS)   // an adopter may post a mark of its own

// Words, each with one writer.
#define PUBLISHED 0      // headers stored; the header at r is non-zero when PUBLISHED > r
#define NEXT      1      // writer: number of the last transfer announced
#define UNFENCED  2      // writer: 0 when it fences after each publication
#define WRITER_WORD 3    // writer's sleep word
#define READER_WORD 4    // reader's sleep word
#define CURSOR    5      // reader: frames passed; also the futex of a writer that waits for room
#define TAKEN     6      // reader: number of the last transfer asked for
#define READER_AT 7      // reader: the header that the sleeper of its word looks at, or of a later one

// A sleep word: epoch, "the sleeper fences for both", state.
#define awake     0
#define on_futex  1
#define on_socket 2
#define STATE(w)  ((w) & 3)
#define NO_FENCES(w)  ((w) & 4)
#define EPOCHS    248    // 32 of them: fewer than in earnest, which can only lose more wake-ups
#define EPOCH(w)  ((w) & EPOCHS)
#define NEVER     7      // no word looks like that

byte mem[8];
chan writer_stores = [2] of { byte, byte };
chan reader_stores = [3] of { byte, byte };
chan queue = [SOCKET] of { byte };     // 0: doorbell, else the number of a transfer
bit edge, hung_up;                     // of the reader's epoll
byte number_of[FRAMES + 1];            // of the transfer that a frame names
bit reader_waits, writer_waits;        // in FUTEX_WAIT
byte reader_waits_at;
bit nudged, stop, bell, listening;               // of the reader's thread; private to its process
bit kill_writer, kill_reader;
bit finished;                          // the writer has posted all, and waits for nothing
byte posted;                           // frames stored, visible or not
byte writer_kills = WRITER_KILLS, reader_kills = READER_KILLS;

#define W(a, v)   writer_stores!a,v
#define R(a, v)   reader_stores!a,v
#define FENCE(q)  empty(q)

active proctype Memory() {
  byte a, v;
end:
  do
  :: atomic { writer_stores?a,v -> mem[a] = v; a = 0; v = 0 }
  :: atomic { reader_stores?a,v -> mem[a] = v; a = 0; v = 0 }
  od
}

active proctype Killer() {
end:
  do
  :: atomic { writer_kills > 0 && !kill_writer -> writer_kills--; kill_writer = 1 }
  :: atomic { reader_kills > 0 && !kill_reader -> reader_kills--; kill_reader = 1 }
  :: writer_kills > 0 -> writer_kills = 0
  :: reader_kills > 0 -> reader_kills = 0
  od
}

#include "sleep_writer.inc"
#include "sleep_reader.inc"

#ifdef STOP
// Another thread of the reader's process: what it wants first, then the nudge.
active proctype Stopper() {
  stop = 1;
  atomic { nudged = 1; reader_waits = 0 }
#ifndef NO_BELL
  bell = listening
#endif
}
#endif
