/*
 * evercan-capture with fake sockets: compiled in place of the program itself.
 *
 * It reads records from standard input. A frame goes to the socket whose filters let it pass, which
 * must be one; the others say that no frame has come for a while, or that the program is to end
 * once it has printed what waits.
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
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { FRAME, NOTHING, END };

struct record {
	uint32_t kind, size, index, local;
	uint32_t lost;  /* by the socket, so far */
	uint32_t fake;  /* the socket of NOTHING */
	int64_t stamp;  /* microseconds */
	unsigned char frame[CANFD_MTU];
};

#define FAKES 32
static struct can_filter filters[FAKES];
static struct sock_filter programs[FAKES][8];
static can_err_mask_t error_masks[FAKES];
static uint32_t losses[FAKES];
static int opened, bound;
static struct record next;
static int has_next;

static void load(void)
{
	if (!has_next && fread(&next, sizeof(next), 1, stdin) != 1)
		next = (struct record){ .kind = END };
	has_next = 1;
}

/* Run the part of classic BPF that chooses frames by their interface. */
static uint32_t run(const struct sock_filter *at)
{
	uint32_t accumulator = 0;

	for (;; at++)
		switch (at->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (at->k != (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX))
				exit(92);
			accumulator = next.index;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			accumulator &= at->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += accumulator == at->k ? at->jt : at->jf;
			break;
		case BPF_RET | BPF_K:
			return at->k;
		default:
			exit(92);
		}
}

static int passes(int fake)
{
	const struct can_frame *frame = (const void *)next.frame;

	if (run(programs[fake]) < next.size)
		return 0;
	if (frame->can_id & CAN_ERR_FLAG)
		return (frame->can_id & error_masks[fake] & CAN_ERR_MASK) != 0;
	return !((frame->can_id ^ filters[fake].can_id) & filters[fake].can_mask);
}

static int fake_socket(int family, int type, int protocol)
{
	return family == AF_CAN && type == SOCK_RAW && protocol == CAN_RAW ? opened++ : -1;
}

static int fake_setsockopt(int fake, int level, int option, const void *value, socklen_t size)
{
	if (level == SOL_CAN_RAW && option == CAN_RAW_FILTER)
		memcpy(&filters[fake], value, size);
	if (level == SOL_CAN_RAW && option == CAN_RAW_ERR_FILTER)
		memcpy(&error_masks[fake], value, size);
	if (level == SOL_SOCKET && option == SO_ATTACH_FILTER) {
		const struct sock_fprog *program = value;

		memcpy(programs[fake], program->filter, program->len * sizeof(*program->filter));
	}
	return 0;
}

static int fake_getsockopt(int fake, int level, int option, void *value, socklen_t *size)
{
	(void)level, (void)size;
	if (option == SO_MEMINFO)
		((uint32_t *)value)[SK_MEMINFO_DROPS] = losses[fake];
	return 0;
}

static int fake_bind(int fake, const struct sockaddr *address, socklen_t size)
{
	(void)fake, (void)size;
	bound += ((const struct sockaddr_can *)address)->can_ifindex == 0;
	return 0;
}

/* Interfaces have names like can7; those from 1000 on are gone. */
static int fake_ioctl(int fake, unsigned long what, ...)
{
	va_list arguments;
	struct ifreq *asked;

	(void)fake;
	va_start(arguments, what);
	asked = va_arg(arguments, struct ifreq *);
	va_end(arguments);
	if (what != SIOCGIFNAME || asked->ifr_ifindex >= 1000)
		return errno = ENODEV, -1;
	snprintf(asked->ifr_name, IFNAMSIZ, "can%d", asked->ifr_ifindex);
	return 0;
}

/* Whether nothing waits, and what was taken has been printed. */
static int is_done(void);

static int printer_waits;

static int fake_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	int result;

	printer_waits = 1;
	result = pthread_cond_wait(condition, mutex);
	printer_waits = 0;
	return result;
}

static int fake_poll(struct pollfd *ready, nfds_t number, int timeout)
{
	int fake, found = 0;

	(void)timeout;
	if (bound != FAKES || number != FAKES)
		exit(90);
	load();
	for (fake = 0; fake < FAKES; fake++)
		ready[fake].revents = 0;
	if (next.kind == END) {
		static int was_done; /* losses may be reported between two rounds */

		if (!is_done())
			was_done = 0;
		else if (was_done++)
			_exit(0);
		usleep(1000);
		return 0;
	}
	if (next.kind == NOTHING) {
		losses[next.fake] = next.lost;
		has_next = 0;
		return 0;
	}
	for (fake = 0; fake < FAKES; fake++)
		if (passes(fake))
			ready[fake].revents = POLLIN, found++;
	if (found != 1)
		exit(91); /* it would be lost, or printed more than once */
	return 1;
}

static int fake_recvmmsg(int fake, struct mmsghdr *messages, unsigned number, int flags,
			 struct timespec *timeout)
{
	unsigned got;

	(void)flags, (void)timeout;
	for (got = 0; got < number; got++) {
		struct msghdr *header = &messages[got].msg_hdr;
		struct sockaddr_can *from = header->msg_name;
		struct timeval stamp;
		struct cmsghdr *part;

		load();
		if (next.kind != FRAME || !passes(fake))
			break;
		memcpy(header->msg_iov->iov_base, next.frame, next.size);
		messages[got].msg_len = next.size;
		from->can_ifindex = next.index;
		header->msg_flags = next.local ? MSG_DONTROUTE : 0;
		stamp = (struct timeval){ next.stamp / 1000000, next.stamp % 1000000 };
		part = CMSG_FIRSTHDR(header);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SO_TIMESTAMP;
		part->cmsg_len = CMSG_LEN(sizeof(stamp));
		memcpy(CMSG_DATA(part), &stamp, sizeof(stamp));
		part = CMSG_NXTHDR(header, part);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SO_RXQ_OVFL;
		part->cmsg_len = CMSG_LEN(sizeof(next.lost));
		memcpy(CMSG_DATA(part), &next.lost, sizeof(next.lost));
		has_next = 0;
	}
	return got ? (int)got : (errno = EAGAIN, -1);
}

#define socket fake_socket
#define setsockopt fake_setsockopt
#define getsockopt fake_getsockopt
#define bind fake_bind
#define ioctl fake_ioctl
#define poll(ready, number, timeout) fake_poll(ready, number, timeout)
#define recvmmsg fake_recvmmsg
#define pthread_cond_wait fake_cond_wait
#include "../../build/evercan_capture.c"

static int is_done(void)
{
	int done;

	pthread_mutex_lock(&lock);
	done = !count && printer_waits;
	pthread_mutex_unlock(&lock);
	return done;
}
