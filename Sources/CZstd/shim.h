#ifndef FUSEBOX_CZSTD_SHIM_H
#define FUSEBOX_CZSTD_SHIM_H
#include <zstd.h>
#endif
