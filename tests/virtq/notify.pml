/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who notifies whom, and who may sleep, on a machine that delays stores: a model for spin.
 *
 * The driver makes N buffers available, one or two at a time, in a ring of RING; the device uses them. Each side sleeps
 * when it has nothing to do. A wake-up that is lost leaves both asleep, which spin reports as an invalid end state.
 *
 * Stores go through a buffer that empties when it likes; a fence waits until it is empty. The real code has a store and a
 * load that are sequentially consistent where the model has a fence between the two.
 *
 *   default    EVENT_IDX of a split ring, indices of 8 bits that wrap
 *   FLAGS      no EVENT_IDX: a flag says that no notification is wanted
 *   PACKED     EVENT_IDX of a packed ring of PACKED_NUM: a position and its wrap counter
 *
 * Each of these has to fail: DRIVER_NO_FENCE, DEVICE_NO_FENCE (between showing buffers and looking at the request),
 * DRIVER_NO_WAIT, DEVICE_NO_WAIT (between the request and looking again), DRIVER_NO_LOOK, DEVICE_NO_LOOK (asleep without
 * looking again).
 */
#ifndef N
#define N 5
#endif
#define RING 2
#define FIRST 254
#define PACKED_NUM 3

mtype = {AVAIL_IDX, USED_IDX, AVAIL_EVENT, USED_EVENT, NO_KICK, NO_CALL};

/* shared memory */
byte avail_idx = FIRST, used_idx = FIRST;
byte avail_event, used_event;
bit no_kick, no_call;

/* eventfds */
bit kick, call;

chan driver_stores = [2] of {mtype, byte};
chan device_stores = [2] of {mtype, byte};

inline memory(stores) {
  mtype what;
  byte value;
end:
  do
  :: atomic {
       stores?what, value;
       if
       :: what == AVAIL_IDX -> avail_idx = value
       :: what == USED_IDX -> used_idx = value
       :: what == AVAIL_EVENT -> avail_event = value
       :: what == USED_EVENT -> used_event = value
       :: what == NO_KICK -> no_kick = value
       :: what == NO_CALL -> no_call = value
       fi;
       what = 0;
       value = 0
     }
  od
}

active proctype driver_memory() { memory(driver_stores) }
active proctype device_memory() { memory(device_stores) }

#define INDEX(n) ((FIRST + (n)) & 255)

/* What a request for the n-th buffer looks like, and whether it is passed by going from @before to @now. */
#ifdef PACKED
#define EVENT(n) ((FIRST + (n)) % (2 * PACKED_NUM))
#define AT(n) ((FIRST + (n)) % PACKED_NUM)
#define WRAP(n) (((FIRST + (n)) / PACKED_NUM) % 2)
#define ASKED(event, now) ((event) % PACKED_NUM - ((event) / PACKED_NUM != WRAP(now) -> PACKED_NUM : 0))
#define PASSED(event, now, before) (((AT(now) - ASKED(event, now) - 1) & 255) < (((now) - (before)) & 255))
#else
#define EVENT(n) INDEX(n)
#define PASSED(event, now, before) (((INDEX(now) - (event) - 1) & 255) < ((INDEX(now) - INDEX(before)) & 255))
#endif

active proctype driver() {
  byte sent, shown, done;
  bit first = 1, wanted;
  do
  :: done == N -> break
  :: done < N && used_idx != INDEX(done) -> done++
  :: sent < N && sent - done < RING ->
     sent++;
     if
     :: sent < N && sent - done < RING -> sent++
     :: true
     fi;
     driver_stores!AVAIL_IDX, INDEX(sent);
#ifndef DRIVER_NO_FENCE
     empty(driver_stores);
#endif
#ifdef FLAGS
     wanted = !no_kick;
#else
     wanted = first || PASSED(avail_event, sent, shown);
     first = 0;
#endif
     shown = sent;
     if
     :: wanted -> kick = 1
     :: else
     fi;
     wanted = 0
  :: done < N && used_idx == INDEX(done) && (sent == N || sent - done == RING) ->
#ifdef FLAGS
     driver_stores!NO_CALL, 0;
#else
     driver_stores!USED_EVENT, EVENT(done);
#endif
#ifndef DRIVER_NO_WAIT
     empty(driver_stores);
#endif
     if
#ifndef DRIVER_NO_LOOK
     :: used_idx != INDEX(done)
     :: used_idx == INDEX(done) -> atomic { call -> call = 0 }
#else
     :: true -> atomic { call -> call = 0 }
#endif
     fi;
#ifdef FLAGS
     driver_stores!NO_CALL, 1
#endif
  od
}

active proctype device() {
  byte served, shown;
  bit first = 1, wanted;
  do
  :: served == N -> break
  :: served < N && avail_idx != INDEX(served) ->
     served++;
     if
     :: avail_idx != INDEX(served) -> served++
     :: true
     fi;
     device_stores!USED_IDX, INDEX(served);
#ifndef DEVICE_NO_FENCE
     empty(device_stores);
#endif
#ifdef FLAGS
     wanted = !no_call;
#else
     wanted = first || PASSED(used_event, served, shown);
     first = 0;
#endif
     shown = served;
     if
     :: wanted -> call = 1
     :: else
     fi;
     wanted = 0
  :: served < N && avail_idx == INDEX(served) ->
#ifdef FLAGS
     device_stores!NO_KICK, 0;
#else
     device_stores!AVAIL_EVENT, EVENT(served);
#endif
#ifndef DEVICE_NO_WAIT
     empty(device_stores);
#endif
     if
#ifndef DEVICE_NO_LOOK
     :: avail_idx != INDEX(served)
     :: avail_idx == INDEX(served) -> atomic { kick -> kick = 0 }
#else
     :: true -> atomic { kick -> kick = 0 }
#endif
     fi;
#ifdef FLAGS
     device_stores!NO_KICK, 1
#endif
  od
}
