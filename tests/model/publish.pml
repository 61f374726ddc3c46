// SPDX-License-Identifier: Apache-2.0

// Publication, JUMP, cursor and pins of one direction, with both sides killed at any step and adopted.
//
// Two extents of six words, used in turn. A frame is a header (its length in words) and one or two words of payload,
// which hold the message's number. A word that no rule has zeroed holds junk that looks like a frame.
// Stores go through a buffer from which they become visible late: in order (TSO), or with -DWEAK out of order (as
// C++ relaxed stores may), but a release store only after every store before it. A killed owner's stores all become visible before it counts
// as dead (the adopter waits for the pidfd). Blocks and runs: block_enumeration.cpp. Sleeping: sleep.pml.
//
// Property: every committed message is delivered, in order; a second time only marked `redelivered`, and only what
// the dead reader had been handed and had not passed; nothing is torn, also not while it is in hand or kept.

//! clean quick -DN=3
//! clean -DN=4 -DREADER_KILLS=0 -DWRITER_KILLS=2
//! clean -DN=4 -DWRITER_KILLS=0 -DREADER_KILLS=2
//! clean -DN=3 -DREADER_KILLS=0 -DWEAK
//! mutant NO_ZERO_NEXT quick -DN=3
//! mutant NO_HEADER_LAST quick -DN=3
//! mutant NO_HEADER_RELEASE quick -DN=3 -DREADER_KILLS=0 -DWEAK
//! mutant NO_JUMP_RELEASE quick -DN=3 -DREADER_KILLS=0 -DWEAK
//! mutant NO_EXTENT_STORED quick -DN=3
//! mutant NO_EXTENT_AFTER_JUMP quick -DN=3
//! mutant NO_ADOPTER_STORES_EXTENT quick -DN=4 -DWRITER_KILLS=2 -DREADER_KILLS=0
//! mutant NO_FRAME_BEFORE_JUMP quick -DN=3
//! mutant NO_ROOM_FOR_JUMP quick -DN=3
//! mutant NO_WAIT_FOR_DEATH quick -DN=3
//! mutant NO_HANDED quick -DN=3
//! mutant NO_HANDED_KEPT quick -DN=3 -DWRITER_KILLS=0 -DREADER_KILLS=2
//! mutant NO_COUNT_FROM_CURSOR quick -DN=3
//! mutant NO_CURSOR_AFTER_HAND quick -DN=3
//! mutant NO_CURSOR_BEFORE_REL quick -DN=3
//! mutant NO_PIN quick -DN=3

#ifndef N
#define N 4              // messages
#endif
#ifndef WRITER_KILLS
#define WRITER_KILLS 1
#endif
#ifndef READER_KILLS
#define READER_KILLS 1
#endif

#ifdef WEAK
#define DEPTH 4
#else
#define DEPTH 2          // of the writer's store buffer
#endif

#define WORDS   6        // of an extent
#define JUMP    9
#define JUNK    2        // a header as if of a frame
#define NUMBER  20       // payload of message n: NUMBER + n
#define EXTENT  12       // writer's line: where its adopter starts
#define CURSOR  13       // reader's line: position, count of messages passed, extents left; one word
#define REL     14       // reader's line: extents released
#define HANDED  15       // reader's line: count of messages handed out
#define COUNT   16       // only when the count is not in the cursor's word

#define POS(w)    ((w) & 15)
#define MSG(w)    (((w) >> 4) & 7)
#define EXT(w)    ((w) >> 7)
#define WORD(p, c, x)  ((p) + ((c) << 4) + ((x) << 7))
#define BASE(x)   (WORDS * ((x) & 1))

#define relaxed 0
#define release 1

#ifdef NO_HEADER_RELEASE
#define header_order relaxed
#else
#define header_order release
#endif
#ifdef NO_JUMP_RELEASE
#define jump_order relaxed
#else
#define jump_order release
#endif
short mem[17];
chan writer_stores = [DEPTH] of { byte, short, bit };
chan reader_stores = [2] of { byte, short, bit };

bit kill_writer, kill_reader;
byte writer_kills = WRITER_KILLS, reader_kills = READER_KILLS;

// What only the checks know.
byte posted;             // messages whose header (or JUMP) was stored
byte seen[N + 1];        // how often each message was given to the user
byte handed_out;         // the highest message that any reader was about to give out

#define WRITE(a, v, order)  writer_stores!a,v,order
#define READ_SIDE(a, v, order)  reader_stores!a,v,order

// A relaxed store of word x: each word keeps its own order, and nothing else does.
#define DRAIN(q, x) \
  :: atomic { q??[x,v,relaxed] -> q??x,v,relaxed; mem[x] = v; v = 0 }

proctype Memory() {
  byte a; short v;
end:
  do
#ifdef WEAK
  :: atomic { writer_stores?[a,v,release] -> writer_stores?a,v,release; mem[a] = v; a = 0; v = 0 }
  DRAIN(writer_stores, 0)  DRAIN(writer_stores, 1)  DRAIN(writer_stores, 2)  DRAIN(writer_stores, 3)
  DRAIN(writer_stores, 4)  DRAIN(writer_stores, 5)  DRAIN(writer_stores, 6)  DRAIN(writer_stores, 7)
  DRAIN(writer_stores, 8)  DRAIN(writer_stores, 9)  DRAIN(writer_stores, 10) DRAIN(writer_stores, 11)
  DRAIN(writer_stores, EXTENT)
#else
  :: atomic { writer_stores?a,v,_ -> mem[a] = v; a = 0; v = 0 }
#endif
  :: atomic { reader_stores?a,v,_ -> mem[a] = v; a = 0; v = 0 }
  od
}

proctype Killer() {
end:
  do
  :: atomic { writer_kills > 0 && !kill_writer -> writer_kills--; kill_writer = 1 }
  :: atomic { reader_kills > 0 && !kill_reader -> reader_kills--; kill_reader = 1 }
  od
}

// The stores of a frame at `at`: next header zeroed, payload, and (by the caller, last) the header.
inline fill(at) {
#ifndef NO_ZERO_NEXT
  WRITE(at + size, 0, relaxed);
#endif
  WRITE(at + 1, NUMBER + posted + 1, relaxed);
  if
  :: size == 3 -> WRITE(at + 2, NUMBER + posted + 1, relaxed)
  :: else
  fi
}

inline post_in_extent() {
#ifdef NO_HEADER_LAST
  WRITE(pos, size, header_order);
  fill(pos);
  atomic { posted++; pos = pos + size; size = 0 }
#else
  fill(pos);
  atomic { WRITE(pos, size, header_order); posted++; pos = pos + size; size = 0 }
#endif
}

inline store_extent(number) {
#ifndef NO_EXTENT_STORED
  WRITE(EXTENT, number, release)
#else
  skip
#endif
}

// A new extent: the whole frame, the one store of JUMP that publishes it too, and where an adopter starts from now on.
inline post_in_next_extent() {
  mem[REL] >= extent;    // the extent before this one was handed back (extents are used in turn)
#ifdef NO_EXTENT_AFTER_JUMP
  store_extent(extent + 1);
#endif
#ifdef NO_FRAME_BEFORE_JUMP
  WRITE(pos, JUMP, jump_order);
  fill(BASE(extent + 1));
  atomic { WRITE(BASE(extent + 1), size, header_order); posted++; extent++; pos = BASE(extent) + size; size = 0 }
#else
  fill(BASE(extent + 1));
  WRITE(BASE(extent + 1), size, relaxed);
  atomic { WRITE(pos, JUMP, jump_order); posted++; extent++; pos = BASE(extent) + size; size = 0 }
#endif
  store_extent(extent)
}

#ifdef NO_ROOM_FOR_JUMP
#define FITS  (pos + size < BASE(extent) + WORDS + 1)
#else
#define FITS  (pos + size < BASE(extent) + WORDS)     // a frame ends at least one word before its extent does
#endif

proctype Writer() {
  byte pos, extent, size, steps;
adopt:
#ifndef NO_WAIT_FOR_DEATH
  empty(writer_stores);
#else
  skip;
#endif
  d_step {
    extent = mem[EXTENT]; pos = BASE(extent); steps = 0;
    do
    :: mem[pos] == 0 -> break
    :: mem[pos] == JUMP -> extent++; pos = BASE(extent)
    :: else -> pos = pos + mem[pos]; steps++; assert(steps < 9 && pos < BASE(extent) + WORDS)
    od;
    steps = 0
  }
  {
#ifndef NO_ADOPTER_STORES_EXTENT
    store_extent(extent);
#endif
    do
    :: posted < N ->
       if
       :: size = 2
       :: size = 3
       fi;
       if
       :: FITS -> post_in_extent()
       :: else -> post_in_next_extent()
       fi
    :: else -> break
    od
  } unless {
    atomic { kill_writer -> kill_writer = 0; pos = 0; extent = 0; size = 0; goto adopt }
  }
}

// The reader: what is in hand starts at the stored cursor and ends before `pos`; one message may be kept.
inline store_cursor() {
#ifdef NO_COUNT_FROM_CURSOR
  READ_SIDE(CURSOR, WORD(pos, 0, extent), release);
  READ_SIDE(COUNT, count, release)
#else
  READ_SIDE(CURSOR, WORD(pos, count, extent), release)
#endif
}

#define WHOLE(at, n)  assert(mem[at + 1] == NUMBER + n && (mem[at] == 2 || mem[at + 2] == NUMBER + n))

inline hand_out() {
  atomic {
    if
    :: handed_out < count + 1 -> handed_out = count + 1
    :: else
    fi;
#ifndef NO_HANDED
#ifndef NO_HANDED_KEPT
    if                                                     // never less than an owner before this one said
    :: count + 1 > marked -> READ_SIDE(HANDED, count + 1, relaxed)
    :: else
    fi
#else
    READ_SIDE(HANDED, count + 1, relaxed)
#endif
#endif
  }
  atomic {
    count++;
    number = mem[pos + 1] - NUMBER;
    assert(number >= 1 && number <= posted);
    assert(number == 1 || seen[number - 1] == 1);          // none lost, none out of order
    assert(seen[number] == 0 || count <= marked);          // a second time only marked `redelivered`
    assert(count > marked || number <= handed_out);        // and nothing is marked that nobody had
    WHOLE(pos, number);
    seen[number] = 1;
    number = 0;
    pos = pos + mem[pos]
  }
}

inline release_left() {
  if
#ifndef NO_PIN
  :: kept_number != 0                                 // something in the extent is still being read
  :: kept_number == 0 -> READ_SIDE(REL, extent, release)
#else
  :: READ_SIDE(REL, extent, release)
#endif
  fi
}

inline follow_jump() {
  atomic { extent++; pos = BASE(extent) }
#ifdef NO_CURSOR_BEFORE_REL
  release_left();
  store_cursor()
#else
  store_cursor();
  release_left()
#endif
}

inline let_go() {
  atomic { WHOLE(kept_at, kept_number); kept_number = 0; kept_at = 0 }
  READ_SIDE(REL, extent, release)
}

proctype Reader() {
  byte pos, extent, count, number, marked, first, first_number, kept_at, kept_number;
  short cursor;
adopt:
  empty(reader_stores);
  d_step {
    cursor = mem[CURSOR];
    pos = POS(cursor); extent = EXT(cursor);
#ifdef NO_COUNT_FROM_CURSOR
    count = mem[COUNT];
#else
    count = MSG(cursor);
#endif
    marked = mem[HANDED]; cursor = 0
  }
  {
    READ_SIDE(REL, extent, release);                  // what the dead reader had left
    do
    :: mem[pos] == JUMP -> follow_jump()
    :: mem[pos] != 0 && mem[pos] != JUMP ->
       first = pos;
#ifdef NO_CURSOR_AFTER_HAND
       atomic { pos = pos + mem[pos]; count++ }
       store_cursor();
       atomic { pos = first; count-- }
#endif
       hand_out();
       first_number = mem[first + 1] - NUMBER;
       if                                             // a batch: both stay in hand
       :: mem[pos] == 2 || mem[pos] == 3 -> hand_out()
       :: true
       fi;
       if                                             // the user is done with it, or keeps the (first) message
       :: WHOLE(first, first_number)
       :: kept_number == 0 -> atomic { kept_at = first; kept_number = first_number }
       fi;
       first_number = 0;
       first = 0;
       store_cursor()
    :: kept_number != 0 -> let_go()
    :: count == N && kept_number == 0 && mem[pos] == 0 -> break
    od
  } unless {
    atomic {
      kill_reader -> kill_reader = 0;
      pos = 0; extent = 0; count = 0; number = 0; marked = 0;
      first = 0; first_number = 0; kept_at = 0; kept_number = 0;
      goto adopt
    }
  }
}

init {
  atomic {
    byte i;
    for (i : 1 .. 2 * WORDS - 1) { mem[i] = JUNK }
    run Memory(); run Killer(); run Writer(); run Reader()
  }
}
