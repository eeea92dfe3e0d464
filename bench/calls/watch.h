/*
 * What looks at a processor runs outside of Go: its scheduler would make the
 * thread wait for threads without privilege, and its monitor would interrupt what
 * is measured to take the thread's place away.
 */
#include <stdint.h>
#include <time.h>

enum { SKY_STALLS = 1024 };

typedef struct {
	int stop;        /* set by another thread */
	int stalls;      /* how many there were; the first SKY_STALLS are kept */
	int64_t longest; /* ns */
	int64_t spent;   /* CPU time of probes, ns */
	int64_t probes;
	int64_t stalled[SKY_STALLS]; /* when a stall ended, ns since 1970 */
	unsigned char work[16 << 10];
} sky_view;

static inline int64_t sky_now(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* sky_look wakes up every so many ns until v->stop is set. */
static inline void sky_look(sky_view *v, int64_t every, int64_t stall) {
	int64_t due = sky_now(CLOCK_MONOTONIC);
	while (!__atomic_load_n(&v->stop, __ATOMIC_RELAXED)) {
		due += every;
		struct timespec t = {due / 1000000000, due % 1000000000};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL); /* a signal ends it early, which does no harm */
		int64_t now = sky_now(CLOCK_MONOTONIC), late = now - due;
		int64_t before = sky_now(CLOCK_THREAD_CPUTIME_ID);
		unsigned char sum = 1;
		for (unsigned i = 0; i < sizeof v->work; i++)
			v->work[i] = sum = sum * 31 + v->work[i];
		v->spent += sky_now(CLOCK_THREAD_CPUTIME_ID) - before;
		v->probes++;
		if (late >= stall) {
			if (v->stalls < SKY_STALLS)
				v->stalled[v->stalls++] = sky_now(CLOCK_REALTIME);
			if (late > v->longest)
				v->longest = late;
		}
		if (late > 0)
			due = now;
	}
}

static inline void sky_stop(sky_view *v) { __atomic_store_n(&v->stop, 1, __ATOMIC_RELAXED); }
