/*
 * evercan-play on a given socket: the argument is its number instead of an interface.
 */
#include <errno.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned int given;

static unsigned int given_number(const char *argument)
{
	return given = (unsigned int)atoi(argument);
}

static int given_socket(void)
{
	return (int)given;
}

#define if_nametoindex(name) given_number(name)
#define socket(...) given_socket()
#define setsockopt(...) ((void)on, 0)
#define bind(...) 0
#include "../../build/evercan_play.c"
