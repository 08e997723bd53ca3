/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/virtq.h>

const char *virtiofs_virtq_fault_name(enum virtiofs_virtq_fault fault) {
  switch (fault) {
  case VIRTIOFS_VIRTQ_OK:
    return "no fault";
  case VIRTIOFS_VIRTQ_AVAIL_JUMP:
    return "more buffers available than the ring has";
  case VIRTIOFS_VIRTQ_HEAD_RANGE:
    return "head index out of range";
  case VIRTIOFS_VIRTQ_HEAD_TWICE:
    return "head that is in flight already";
  case VIRTIOFS_VIRTQ_NEXT_RANGE:
    return "next index out of range";
  case VIRTIOFS_VIRTQ_CHAIN_LONG:
    return "chain too long or a loop";
  case VIRTIOFS_VIRTQ_ORDER:
    return "readable descriptor behind a writable one";
  case VIRTIOFS_VIRTQ_INDIRECT_UNASKED:
    return "indirect table without the feature";
  case VIRTIOFS_VIRTQ_INDIRECT_NESTED:
    return "indirect table in an indirect table";
  case VIRTIOFS_VIRTQ_INDIRECT_NEXT:
    return "indirect descriptor linked to another";
  case VIRTIOFS_VIRTQ_INDIRECT_SIZE:
    return "bad size of an indirect table";
  case VIRTIOFS_VIRTQ_ADDRESS:
    return "address outside of guest memory";
  case VIRTIOFS_VIRTQ_TOTAL:
    return "more than 4 GiB in one chain";
  case VIRTIOFS_VIRTQ_SEGMENTS:
    return "too many pieces of memory in one chain";
  case VIRTIOFS_VIRTQ_USED_JUMP:
    return "more buffers used than are in flight";
  case VIRTIOFS_VIRTQ_USED_ID:
    return "used id out of range";
  case VIRTIOFS_VIRTQ_USED_TWICE:
    return "used id that is not in flight";
  case VIRTIOFS_VIRTQ_USED_LENGTH:
    return "more bytes used than there was room for";
  case VIRTIOFS_VIRTQ_USED_ORDER:
    return "used id out of turn";
  }
  return "unknown fault";
}
