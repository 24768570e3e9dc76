/* filter_ssi.h — server-side includes: <!--#include virtual="/x" -->, echo, set, if, block, config.
 *
 * The text streams through; what is held is one command (bounded), the rest of the piece that was being read while a sub-request answers, and the text
 * of blocks (bounded). Includes are asked one after the other, each streamed into its place. */
#ifndef FLOW_FILTER_SSI_H
#define FLOW_FILTER_SSI_H

extern const struct filter filter_ssi;

#endif
