/*
 * evercan-capture [errors]: print the frames of all CAN interfaces, as candump -L -x -d does.
 *
 * Part of the image evercan/can-tools, in which the command evercan runs it; with an argument it
 * prints error frames too. The first line is empty: frames that are sent after it are printed.
 *
 * The kernel keeps about 500 frames for a socket, unless net.core.rmem_max is raised. So one thread
 * does nothing but read them, and WAITING of them can wait in memory for whoever reads the output.
 * Each socket gets one of IDS groups of ids, from one of INTERFACES groups of interfaces, so that a
 * full bus has many buffers, also if all of its frames have the same id: each of them passes every
 * interface of its bus. A line DROPCOUNT counts the frames that were lost in spite of that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define IDS 8        /* powers of two: a frame's group is the remainder of its id, */
#define INTERFACES 4 /* and that of its interface's index */
#define SOCKETS (IDS * INTERFACES)
#define BUFFER (4 << 20)  /* bytes that are asked for; the kernel gives net.core.rmem_max */
#define WAITING (1 << 18) /* frames: those of a full bus on two interfaces for 16 seconds */
#define BATCH 64          /* frames that are read or printed at once */
#define IDLE 200          /* milliseconds without a frame */
#define NAMES 256
#define NAME_HOLDS 1      /* seconds for which the name of an interface is not asked for again */

struct captured {
	struct timeval stamp;
	uint32_t lost;  /* frames before this one */
	unsigned size;  /* bytes of the frame; 0 if there is none */
	int local;      /* sent by a program of this host */
	char name[IFNAMSIZ];
	unsigned char frame[CANFD_MTU] __attribute__((aligned(8)));
};

static struct captured *waiting;
static size_t first, count;  /* the oldest that waits, and how many do */
static uint32_t overflowed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;

static int sockets[SOCKETS];
static uint32_t dropped[SOCKETS];  /* by the kernel, so far */

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(const struct captured *captured, int number)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < number; i++) {
		struct captured *last = &waiting[(first + count) % WAITING];

		if (count == WAITING) {
			overflowed += captured[i].lost + (captured[i].size > 0);
			continue;
		}
		*last = captured[i];
		last->lost += overflowed;
		overflowed = 0;
		if (last->size || last->lost)
			count++;
	}
	if (count)
		pthread_cond_signal(&arrived);
	pthread_mutex_unlock(&lock);
}

/* Wait for frames, and take some; say whether others wait. */
static int take(struct captured *captured, int *number)
{
	int more;

	pthread_mutex_lock(&lock);
	while (!count)
		pthread_cond_wait(&arrived, &lock);
	for (*number = 0; *number < BATCH && count; count--) {
		captured[(*number)++] = waiting[first];
		first = (first + 1) % WAITING;
	}
	more = count > 0;
	if (!more)
		first = 0;  /* a few that wait need little memory */
	pthread_mutex_unlock(&lock);
	return more;
}

static void print(const struct captured *captured)
{
	static const char digits[] = "0123456789ABCDEF";
	const struct canfd_frame *frame = (const void *)captured->frame;
	canid_t wide = frame->can_id & (CAN_EFF_FLAG | CAN_ERR_FLAG);
	char text[2 * CANFD_MAX_DLEN + 8], *end = text;
	unsigned i, length = frame->len;
	unsigned raw_length = ((const struct can_frame *)frame)->len8_dlc;

	if (captured->lost)
		printf("DROPCOUNT: dropped %u CAN frames\n", captured->lost);
	if (!captured->size)
		return;
	*end++ = '#';
	if (captured->size == CANFD_MTU) {
		*end++ = '#';
		*end++ = digits[frame->flags & 0xF];
	} else if (frame->can_id & CAN_RTR_FLAG) {
		*end++ = 'R';
		if (length)
			*end++ = digits[length & 0xF];
		length = 0;
	}
	if (length > CANFD_MAX_DLEN)
		length = CANFD_MAX_DLEN;
	for (i = 0; i < length; i++) {
		*end++ = digits[frame->data[i] >> 4];
		*end++ = digits[frame->data[i] & 0xF];
	}
	if (captured->size == CAN_MTU && length == CAN_MAX_DLEN && raw_length > CAN_MAX_DLEN &&
	    raw_length <= CAN_MAX_RAW_DLC) {
		*end++ = '_';
		*end++ = digits[raw_length];
	}
	*end = '\0';
	printf("(%010lld.%06lld) %s %0*X%s %c\n", (long long)captured->stamp.tv_sec,
	       (long long)captured->stamp.tv_usec, captured->name, wide ? 8 : 3,
	       frame->can_id & (wide ? CAN_EFF_MASK | CAN_ERR_FLAG : CAN_SFF_MASK), text,
	       captured->local ? 'T' : 'R');
}

static void *print_all(void *unused)
{
	static struct captured captured[BATCH];

	for (;;) {
		int i, number, more = take(captured, &number);

		for (i = 0; i < number; i++)
			print(&captured[i]);
		if ((!more && fflush(stdout)) || ferror(stdout))
			fail("standard output");
	}
	return unused;
}

/* Write the name of an interface; it may be gone when its last frames are read. */
static void name_of(int index, char *name)
{
	static struct {
		int index;
		time_t asked;
		char name[IFNAMSIZ];
	} names[NAMES], *known;
	struct timespec now;

	known = &names[index % NAMES];
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (known->index != index || now.tv_sec - known->asked > NAME_HOLDS) {
		struct ifreq asked = { .ifr_ifindex = index };

		if (!ioctl(sockets[0], SIOCGIFNAME, &asked))
			memcpy(known->name, asked.ifr_name, IFNAMSIZ);
		else if (known->index != index)
			strcpy(known->name, "?");
		known->index = index;
		known->asked = now.tv_sec;
	}
	memcpy(name, known->name, IFNAMSIZ);
}

/* Return how many frames a socket has lost since this was asked last. */
static uint32_t newly_lost(int number, uint32_t total)
{
	uint32_t lost = total - dropped[number];

	if (lost > INT32_MAX)
		return 0;  /* an older total */
	dropped[number] = total;
	return lost;
}

static void read_from(int number)
{
	static struct mmsghdr messages[BATCH];
	static struct iovec parts[BATCH];
	static struct sockaddr_can from[BATCH];
	static char control[BATCH][CMSG_SPACE(sizeof(struct timeval)) + CMSG_SPACE(4)]
		__attribute__((aligned(8)));
	static struct captured captured[BATCH];
	int i, got;

	for (i = 0; i < BATCH; i++) {
		struct msghdr *header = &messages[i].msg_hdr;

		parts[i] = (struct iovec){ captured[i].frame, sizeof(captured[i].frame) };
		*header = (struct msghdr){
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &parts[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof(control[i]),
		};
	}
	got = recvmmsg(sockets[number], messages, BATCH, MSG_DONTWAIT, NULL);
	if (got < 0 && errno != EAGAIN && errno != EINTR)
		fail("read");
	for (i = 0; i < got; i++) {
		struct msghdr *header = &messages[i].msg_hdr;
		struct captured *one = &captured[i];
		struct cmsghdr *part;

		one->size = messages[i].msg_len;
		one->local = (header->msg_flags & MSG_DONTROUTE) != 0;
		one->lost = 0;
		memset(&one->stamp, 0, sizeof(one->stamp));
		for (part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
			uint32_t total;

			if (part->cmsg_level != SOL_SOCKET)
				continue;
			if (part->cmsg_type == SO_TIMESTAMP)
				memcpy(&one->stamp, CMSG_DATA(part), sizeof(one->stamp));
			if (part->cmsg_type == SO_RXQ_OVFL) {
				memcpy(&total, CMSG_DATA(part), sizeof(total));
				one->lost = newly_lost(number, total);
			}
		}
		name_of(from[i].can_ifindex, one->name);
	}
	if (got > 0)
		put(captured, got);
}

/* Report what was lost after the last frame of each socket. */
static void count_lost(void)
{
	struct captured none = { .size = 0 };
	int i;

	for (i = 0; i < SOCKETS; i++) {
		uint32_t memory[SK_MEMINFO_VARS] = { 0 };
		socklen_t size = sizeof(memory);

		if (!getsockopt(sockets[i], SOL_SOCKET, SO_MEMINFO, memory, &size) &&
		    size > SK_MEMINFO_DROPS * sizeof(*memory))
			none.lost += newly_lost(i, memory[SK_MEMINFO_DROPS]);
	}
	put(&none, 1);
}

static void open_socket(int number, int errors)
{
	struct can_filter filter = { .can_id = number % IDS, .can_mask = IDS - 1 };
	struct sock_filter of_interfaces[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_IFINDEX),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, INTERFACES - 1),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number / IDS, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX), /* the whole frame */
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {
		.len = sizeof(of_interfaces) / sizeof(*of_interfaces),
		.filter = of_interfaces,
	};
	struct sockaddr_can all = { .can_family = AF_CAN };
	can_err_mask_t kinds = CAN_ERR_MASK;
	int on = 1, size = BUFFER;
	int made = sockets[number] = socket(AF_CAN, SOCK_RAW, CAN_RAW);

	if (made < 0)
		fail("socket");
	if (setsockopt(made, SOL_CAN_RAW, CAN_RAW_FILTER, &filter, sizeof(filter)) ||
	    setsockopt(made, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof(on)) ||
	    setsockopt(made, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    /* No filter of ids lets error frames pass: the first group's sockets get them. */
	    (errors && !(number % IDS) &&
	     setsockopt(made, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, &kinds, sizeof(kinds))) ||
	    setsockopt(made, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) ||
	    setsockopt(made, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)) ||
	    setsockopt(made, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on)))
		fail("setsockopt");
	if (bind(made, (struct sockaddr *)&all, sizeof(all)))
		fail("bind");
}

int main(int argc, char **argv)
{
	struct pollfd ready[SOCKETS];
	pthread_t printer;
	int i;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "errors"))) {
		fprintf(stderr, "usage: evercan-capture [errors]\n");
		return 2;
	}
	waiting = malloc(WAITING * sizeof(*waiting));
	if (!waiting)
		fail("memory");
	for (i = 0; i < SOCKETS; i++) {
		open_socket(i, argc == 2);
		ready[i] = (struct pollfd){ .fd = sockets[i], .events = POLLIN };
	}
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	puts("");
	fflush(stdout);
	errno = pthread_create(&printer, NULL, print_all, NULL);
	if (errno)
		fail("thread");
	for (;;) {
		int found = poll(ready, SOCKETS, IDLE);

		if (found < 0 && errno != EINTR)
			fail("poll");
		if (!found)
			count_lost();
		for (i = 0; found > 0 && i < SOCKETS; i++)
			if (ready[i].revents)
				read_from(i);
	}
}
