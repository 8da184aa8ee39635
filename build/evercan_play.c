/*
 * evercan-play INTERFACE: send CAN frames at given times.
 *
 * Part of the image evercan/can-tools, in which the command evercan runs it. It reads records from
 * standard input, in the machine's byte order:
 *
 *   8 bytes  microseconds after the start; all bits set: the end
 *   8 bytes  16 for a classic frame, 72 for a CAN FD frame, 0 for no frame
 *  72 bytes  struct can_frame or struct canfd_frame
 *
 * The start is LEAD after the first record, so that input which comes unevenly is here in time. A
 * record without a frame sets the start instead: programs that play together get the same. Its time
 * is one of CLOCK_MONOTONIC, which is printed first, in microseconds.
 * Each second, and at the end, it prints one line: frames sent, and by how many microseconds 99 %
 * of them, and the worst of them, were late.
 */
#include <errno.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LEAD 200000ull     /* microseconds */
#define PATIENCE 1000000ull /* microseconds that a full queue may take before it is an error */
#define PAUSE 100ull       /* microseconds between two attempts */
#define STEP 10ull         /* microseconds, the resolution of the quantile */
#define STEPS 100000       /* up to one second */

struct record {
	uint64_t due;
	uint64_t size;
	unsigned char frame[CANFD_MTU];
};

static uint64_t late[STEPS + 1], sent, worst;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static void sleep_until(uint64_t moment)
{
	struct timespec ts = { moment / 1000000, moment % 1000000 * 1000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void report(void)
{
	uint64_t below = 0;
	int step = 0;

	while (step < STEPS && (below += late[step]) * 100 < sent * 99)
		step++;
	printf("%llu %llu %llu\n", (unsigned long long)sent,
	       (unsigned long long)(step < STEPS ? step * STEP : worst),
	       (unsigned long long)worst);
	fflush(stdout);
}

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_can address = { .can_family = AF_CAN };
	uint64_t start = 0, reported = 0;
	struct record record;
	int bus, on = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: evercan-play INTERFACE\n");
		return 2;
	}
	prctl(PR_SET_TIMERSLACK, 1000ul);
	address.can_ifindex = if_nametoindex(argv[1]);
	if (!address.can_ifindex)
		return fail(argv[1]);
	bus = socket(AF_CAN, SOCK_RAW, CAN_RAW);
	if (bus < 0)
		return fail("socket");
	if (setsockopt(bus, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof(on)) ||
	    setsockopt(bus, SOL_CAN_RAW, CAN_RAW_FILTER, NULL, 0) ||
	    bind(bus, (struct sockaddr *)&address, sizeof(address)))
		return fail(argv[1]);

	printf("%llu\n", (unsigned long long)now());
	fflush(stdout);
	while (fread(&record, sizeof(record), 1, stdin) == 1 && record.due != UINT64_MAX) {
		uint64_t due, moment, tried;

		if (!record.size) {
			reported = start = record.due;
			continue;
		}
		if (record.size != CAN_MTU && record.size != CANFD_MTU) {
			errno = EBADMSG;
			return fail("standard input");
		}
		if (!start)
			reported = start = now() + LEAD;
		due = start + record.due;
		if (due > now())
			sleep_until(due);
		for (tried = now(); write(bus, record.frame, record.size) < 0;) {
			if (errno != ENOBUFS || now() - tried > PATIENCE) {
				report();
				return fail(argv[1]);
			}
			sleep_until(now() + PAUSE);
		}
		moment = now();
		moment = moment > due ? moment - due : 0;
		late[moment / STEP < STEPS ? moment / STEP : STEPS]++;
		worst = moment > worst ? moment : worst;
		sent++;
		if (due > reported + 1000000) {
			reported = due;
			report();
		}
	}
	report();
	return 0;
}
