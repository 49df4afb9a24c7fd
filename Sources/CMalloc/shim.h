#ifndef FUSEBOX_CMALLOC_SHIM_H
#define FUSEBOX_CMALLOC_SHIM_H
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#endif
