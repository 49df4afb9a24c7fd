#ifndef FUSEBOX_CPROTOBUFC_SHIM_H
#define FUSEBOX_CPROTOBUFC_SHIM_H
#include <protobuf-c/protobuf-c.h>
#endif
