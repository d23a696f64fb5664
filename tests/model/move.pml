/* SPDX-License-Identifier: Apache-2.0 */
/* The move of one VMN between three hosts: a Promela model, checked by spin
 * for every order of events (tests/model/check.sh).
 *
 * Hosts A, B and C.  A is the old host, B the new one, C has a correspondent.
 * The record is a product, as in lib/mat-record.c: the live register (epoch,
 * seq, owner), merged by the greatest version, and the prepared register of B,
 * which counts only above the live one.  Claims travel as messages that may be lost
 * (left out), repeated and overtake each other; repair is a message that a
 * host may always send again.  The world:
 *
 *   - the VM moves from A to B, prepared there or not, or the migration fails,
 *     B withdraws and it goes on at A, or it moves on to C
 *   - an agent may crash and come back without memory of records, once; it
 *     claims again what runs on it, by a version that is too low
 *   - who loses a VMN that runs on it challenges the winner, who concedes if
 *     it does not run there
 *
 * Safety, at every step (asserted): nobody believes an owner where the VM never
 * was, and epochs stay bounded: no host raises them in turn for ever.
 * Progress, when all is quiet and repair has run: all hosts agree on one
 * owner, and it is where the VM runs: no permanent black hole; and no host
 * holds a preparation that counts, for nothing is being prepared.
 *
 * Bounds: CLAIMS live claims and PREPS prepared ones are said.  Further ones
 * are lost, as any message may be, and left to repair. */

#define A 0
#define B 1
#define C 2
#define NOBODY 3
#define N 3

/* A version in one number: greater is newer.  Epoch above seq above host. */
#define VERSION(EPOCH, SEQ, HOST) ((EPOCH) * 16 + (SEQ) * 4 + (HOST))
#define EPOCH(V) ((V) / 16)
#define SEQ(V) (((V) / 4) % 4)
#define OWNER(V) ((V) % 4)
#define EPOCH_MAX 8

/* How much happens: -DMOVES=2 -DCRASHES=0 and so on. */
#ifndef MOVES
#define MOVES 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

/* What each host holds. */
byte live[N];                   /* Version of the live register; 0: none. */
bool claimed[N];                /* It has said that the VMN is live there. */
bool challenged[N];             /* It waits for the answer of the winner. */
byte rival[N];
bool up[N];

/* B's prepared register at each host: epoch, and whether it has ended; 0: none.
 * It never touches live[]. */
#define PREP(EPOCH, GONE) ((EPOCH) * 2 + (GONE))
#define PREP_EPOCH(P) ((P) / 2)
#define PREP_COUNTS(H) (prep[H] != 0 && prep[H] % 2 == 0 && \
                        PREP_EPOCH(prep[H]) > EPOCH(live[H]))
byte prep[N];
bool preparing;                 /* B's agent prepares for the VM. */

/* The world. */
byte runs_on;                   /* Where the VM is; NOBODY while it moves. */
bool was_on[N];
byte n_moves, n_crashes;
bool calm;                      /* No more moves, crashes or losses. */

/* Claims under way: what the network may still deliver, to whom.  A set of
 * (version, receiver): repetition and overtaking come for free, loss is never
 * taking it out. */
#define CLAIMS 7
byte sent_version[CLAIMS];
byte n_sent;
#define PREPS 3
byte sent_prep[PREPS];
byte n_sent_preps;

/* Answers to challenges under way, to each host: 0 none, 1 keep, 2 concede. */
byte answer[N];
bool asked[N];                  /* A challenge to rival[] is under way. */

inline say(version)
{
    /* Everybody may hear it, some time, any number of times, or never. */
    if
    :: n_sent < CLAIMS -> sent_version[n_sent] = version; n_sent++
    :: else -> skip
    fi
}

#define NEWER(H, I) (sent_version[I] > live[H])
#define IS_NEWS(H) (NEWER(H, 0) || NEWER(H, 1) || NEWER(H, 2) || \
                    NEWER(H, 3) || NEWER(H, 4) || NEWER(H, 5) || NEWER(H, 6))
#define NEWER_PREP(H, I) (sent_prep[I] > prep[H] && \
                          PREP_EPOCH(sent_prep[I]) > EPOCH(live[H]))
#define IS_PREP_NEWS(H) (NEWER_PREP(H, 0) || NEWER_PREP(H, 1) || \
                         NEWER_PREP(H, 2))

inline say_prep(p)
{
    if
    :: n_sent_preps < PREPS -> sent_prep[n_sent_preps] = p; n_sent_preps++
    :: else -> skip
    fi
}

/* A live claim ends the preparations that it reaches. */
inline normalise(h)
{
    if
    :: prep[h] != 0 && PREP_EPOCH(prep[h]) <= EPOCH(live[h]) -> prep[h] = 0
    :: else -> skip
    fi
}

/* B's agent prepares, or withdraws. */
inline prepare()
{
    prep[B] = PREP(EPOCH(live[B]) + 1, 0);
    preparing = true;
    say_prep(prep[B])
}

inline withdraw()
{
    if
    :: preparing && PREP_COUNTS(B) -> prep[B]++; say_prep(prep[B])
    :: else -> skip
    fi;
    preparing = false
}

/* Host 'h' takes in a prepared claim of B. */
inline accept_prep(h, p)
{
    if
    :: p > prep[h] && PREP_EPOCH(p) > EPOCH(live[h]) ->
        prep[h] = p;
        if
        :: h == B && p % 2 == 0 && !preparing ->
            prep[B]++;          /* Its own ghost: ended. */
            say_prep(prep[B])
        :: else -> skip
        fi
    :: else -> skip             /* Inert. */
    fi
}

/* Host 'h' publishes that the VMN is live there. */
inline claim(h)
{
    if
    :: h == B && PREP_COUNTS(B) && preparing && OWNER(live[B]) != B ->
        live[B] = VERSION(PREP_EPOCH(prep[B]), 1, B)
    :: else ->
    if
    :: live[h] == 0 -> live[h] = VERSION(1, 1, h)
    :: live[h] != 0 && OWNER(live[h]) == h && SEQ(live[h]) < 3 ->
        live[h] = VERSION(EPOCH(live[h]), SEQ(live[h]) + 1, h)
    :: else ->
        live[h] = VERSION(EPOCH(live[h]) + 1, 1, h)
    fi
    fi;
    normalise(h);
    if
    :: h == B -> preparing = false
    :: else -> skip
    fi;
    assert(EPOCH(live[h]) <= EPOCH_MAX);
    claimed[h] = true;
    challenged[h] = false;
    say(live[h])
}

/* Host 'h' takes in a claim: the merge, and what follows from it. */
inline accept(h, version)
{
    if
    :: version > live[h] ->
        assert(was_on[OWNER(version)]);
        if
        :: OWNER(version) == h ->
            /* Its own ghost: renew or end it (ending: the VM is not here,
             * another will claim above it). */
            live[h] = version;
            if
            :: runs_on == h -> claim(h)
            :: else -> skip
            fi
        :: OWNER(version) != h && claimed[h] ->
            live[h] = version;
            claimed[h] = false;
            if
            :: runs_on == h ->
                challenged[h] = true; asked[h] = true; answer[h] = 0;
                rival[h] = OWNER(version)
            :: else -> skip
            fi
        :: else ->
            live[h] = version;
            if
            :: challenged[h] -> rival[h] = OWNER(version); asked[h] = true;
                answer[h] = 0
            :: else -> skip
            fi
        fi;
        normalise(h)
    :: version < live[h] -> say(live[h])        /* Older: answered by ours. */
    :: else -> skip
    fi
}

/* Only then may a process end; any other end is an error.  Nothing is on its
 * way any more that would be news. */
#define NOTHING_COMES (!IS_NEWS(A) && !IS_NEWS(B) && !IS_NEWS(C) && \
                       !IS_PREP_NEWS(A) && !IS_PREP_NEWS(B) && \
                       !IS_PREP_NEWS(C))
#define ALL_IS_OVER (calm && NOTHING_COMES && \
                     live[A] == live[B] && live[B] == live[C] && \
                     !PREP_COUNTS(A) && !PREP_COUNTS(B) && !PREP_COUNTS(C) && \
                     !challenged[A] && !challenged[B] && !challenged[C])

proctype Host(byte h)
{
    byte i;

    do
    /* A claim arrives; any that was ever sent, also again.  When all is calm
     * only news does: else a host could listen for ever, and that none gets
     * stuck would say nothing. */
    :: atomic {
        up[h] && n_sent > 0 && (!calm || IS_NEWS(h)) ->
        i = 0;
        do
        :: i < n_sent - 1 -> i++
        :: break
        od;
        accept(h, sent_version[i]);
        i = 0
    }
    :: atomic {
        up[h] && n_sent_preps > 0 && (!calm || IS_PREP_NEWS(h)) ->
        i = 0;
        do
        :: i < n_sent_preps - 1 -> i++
        :: break
        od;
        accept_prep(h, sent_prep[i]);
        i = 0
    }
    /* A challenge reaches this host. */
    :: atomic {
        up[h] && asked[(h + 1) % N] && rival[(h + 1) % N] == h ->
        asked[(h + 1) % N] = false;
        if
        :: live[h] != 0 && OWNER(live[h]) != h -> say(live[h])
        :: else -> answer[(h + 1) % N] = ((runs_on == h && claimed[h]) -> 1 : 2)
        fi
    }
    :: atomic {
        up[h] && asked[(h + 2) % N] && rival[(h + 2) % N] == h ->
        asked[(h + 2) % N] = false;
        if
        :: live[h] != 0 && OWNER(live[h]) != h -> say(live[h])
        :: else -> answer[(h + 2) % N] = ((runs_on == h && claimed[h]) -> 1 : 2)
        fi
    }
    /* The answer. */
    :: atomic {
        up[h] && challenged[h] && answer[h] != 0 ->
        if
        :: answer[h] == 2 && runs_on == h -> claim(h)
        :: else -> challenged[h] = false
        fi;
        answer[h] = 0
    }
    /* It asks again: the challenge or its answer was lost. */
    :: atomic {
        up[h] && challenged[h] && !asked[h] && answer[h] == 0 ->
        if
        :: runs_on == h -> asked[h] = true
        :: else -> challenged[h] = false
        fi
    }
    :: atomic { ALL_IS_OVER -> break }
    od
}

/* Repair: a host's claim reaches another for sure, when all is calm. */
proctype Repair()
{
    do
    :: atomic {
        calm && live[A] != live[B] ->
        if
        :: live[A] > live[B] -> accept(B, live[A])
        :: else -> accept(A, live[B])
        fi
    }
    :: atomic {
        calm && live[B] != live[C] ->
        if
        :: live[B] > live[C] -> accept(C, live[B])
        :: else -> accept(B, live[C])
        fi
    }
    /* Preparations: also what B has forgotten comes back to it. */
    :: atomic { calm && PREP_COUNTS(A) && prep[A] > prep[B] ->
                accept_prep(B, prep[A]) }
    :: atomic { calm && PREP_COUNTS(C) && prep[C] > prep[B] ->
                accept_prep(B, prep[C]) }
    :: atomic { calm && prep[B] > prep[A] && prep[B] != 0 &&
                PREP_EPOCH(prep[B]) > EPOCH(live[A]) ->
                accept_prep(A, prep[B]) }
    :: atomic { calm && prep[B] > prep[C] && prep[B] != 0 &&
                PREP_EPOCH(prep[B]) > EPOCH(live[C]) ->
                accept_prep(C, prep[B]) }
    :: atomic { ALL_IS_OVER -> break }
    od;
    /* One owner, where the VM is. */
    assert(OWNER(live[A]) == runs_on)
}

inline forget_sent()
{
    atomic {
        n_sent = 0;
        n_sent_preps = 0;
        i = 0;
        do
        :: i < CLAIMS -> sent_version[i] = 0; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < PREPS -> sent_prep[i] = 0; i++
        :: else -> break
        od;
        i = 0
    }
}

proctype World()
{
    byte from, to, crashed, i;

    do
    /* The VM stops, and starts at the new host or, if that fails, again at the
     * old one; its agent claims it then, as soon as it is up. */
    :: atomic {
        n_moves < MOVES && runs_on == A && up[B] && !preparing &&
        prep[B] == 0 -> prepare()
    }
    :: atomic {
        n_moves < MOVES && runs_on != NOBODY ->
        from = runs_on;
        n_moves++;
        if
        :: to = (from + 1) % N
        :: to = from;           /* It failed. */
            if
            :: up[B] -> withdraw()
            :: else -> skip
            fi
        fi;
        runs_on = NOBODY
    }
    :: atomic {
        runs_on == NOBODY && up[to] ->
        runs_on = to;
        was_on[to] = true;
        if
        :: claimed[to] -> skip  /* Rolled back before anybody claimed. */
        :: else -> claim(to)
        fi
    }
    /* An agent crashes, and comes back without its records. */
    :: atomic {
        n_crashes < CRASHES && up[A] && up[B] ->
        n_crashes++;
        if
        :: crashed = A
        :: crashed = B
        fi;
        up[crashed] = false;
        live[crashed] = 0;
        claimed[crashed] = false;
        prep[crashed] = 0;
        if
        :: crashed == B -> preparing = false
        :: else -> skip
        fi;
        challenged[crashed] = false;
        asked[crashed] = false;
        answer[crashed] = 0
    }
    :: atomic {
        n_crashes > 0 && !up[crashed] ->
        up[crashed] = true;
        if
        :: runs_on == crashed -> claim(crashed)
        :: else -> skip
        fi
    }
    :: atomic { runs_on != NOBODY && up[A] && up[B] && up[C] -> break }
    od;
    atomic { withdraw() };      /* If it was prepared and never moved. */
    if
    :: skip                     /* What is on its way arrives yet, */
    :: forget_sent()            /* or all of it is lost. */
    fi;
    calm = true
}

init
{
    atomic {
        up[A] = true;
        up[B] = true;
        up[C] = true;
        runs_on = A;
        was_on[A] = true;
        live[A] = VERSION(3, 1, A);     /* It has moved before. */
        live[B] = live[A];
        live[C] = live[A];
        claimed[A] = true;
        run Host(A);
        run Host(B);
        run Host(C);
        run Repair();
        run World()
    }
}
