#include "LiveLinkStubs.h"
