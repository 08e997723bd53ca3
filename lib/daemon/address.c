/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#define LOOPBACK_NET 127U

bool virtiofs_daemon_address_is_path(const char *text) {
  return strchr(text, '/') != NULL || strchr(text, ':') == NULL;
}

/* One to five digits and nothing else. -1: it isn't a port. */
static long port_of(const char *text) {
  long port = 0;
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 5 || text[digits] != 0)
    return -1;
  for (; *text != 0; text++)
    port = port * 10 + (*text - '0');
  return port <= UINT16_MAX ? port : -1;
}

static int parse_v6(const char *host, in_port_t port, struct sockaddr_storage *addr, socklen_t *len) {
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
    return -EINVAL;
  memcpy(addr, &v6, sizeof(v6));
  *len = sizeof(v6);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ? 0 : -EACCES;
}

static int parse_v4(const char *host, in_port_t port, struct sockaddr_storage *addr, socklen_t *len) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
    return -EINVAL;
  memcpy(addr, &v4, sizeof(v4));
  *len = sizeof(v4);
  return ntohl(v4.sin_addr.s_addr) >> 24 == LOOPBACK_NET ? 0 : -EACCES;
}

int virtiofs_daemon_address_parse(const char *text, struct sockaddr_storage *addr, socklen_t *len) {
  char host[INET6_ADDRSTRLEN];
  const char *colon = strrchr(text, ':');
  bool v6 = text[0] == '[';
  *addr = (struct sockaddr_storage){0};
  if (colon == NULL || port_of(colon + 1) < 0)
    return -EINVAL;
  const char *begin = text + v6, *end = colon - v6;
  if (end <= begin || (size_t)(end - begin) >= sizeof(host) || (v6 && *end != ']'))
    return -EINVAL;
  memcpy(host, begin, (size_t)(end - begin));
  host[end - begin] = 0;
  in_port_t port = (in_port_t)port_of(colon + 1);
  return v6 ? parse_v6(host, port, addr, len) : parse_v4(host, port, addr, len);
}
