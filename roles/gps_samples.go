package roles

// stocked notes how many samples a region says it has in stock. It cannot have more
// than are leased to it.
func (g *GPS) stocked(name string, stock uint64) {
	if c := g.clients[name]; c != nil && c.live {
		c.stock = min(stock, g.ledger.leased[name].Len())
	}
}

// push decides a region's push. As many samples as it has trained have left its stock.
func (g *GPS) push(d Delta) []Action {
	applied, acts := g.decide(d)
	if applied {
		c := g.clients[d.Client]
		c.stock -= min(c.stock, d.Samples.Len())
	}
	return acts
}

// handOut grants samples to the regions that asked, the longest waiting first. That is
// made durable soon: a GPS that starts again from before could grant them to another
// region as well, and refuse what this one has trained by then.
func (g *GPS) handOut() []Action {
	if g.expecting() {
		return nil // they may hold large grants that the snapshot does not know of; regions have stocks until then
	}
	var acts []Action
	waiting := g.waiting
	g.waiting = nil
	for _, name := range waiting {
		c := g.clients[name]
		ranges := g.ledger.take(name, g.fair(name))
		if len(ranges) == 0 {
			g.waiting = append(g.waiting, name)
			if c.told {
				continue
			}
		}
		c.told = len(ranges) == 0
		if !c.told {
			c.asks = 0
			c.stock += ranges.Len()
			g.changes++
			g.snap.again = true
		}
		acts = append(acts, Grant{
			Client: name, Ranges: ranges, Committed: g.ledger.committed.Len(), Exhausted: c.told,
			Fastest: g.fastest(name), Ahead: g.ahead(name),
		})
	}
	return acts
}

// fair is how many samples a region is granted: what it asked for, or, near the end of
// the job, so many that its stock lasts it as long as the free samples that are left
// last for it. It comes back when half of them are gone, so grants shrink with what is
// left, and no region sits on the rest. It is whole rounds as long as there is one in
// it, and then a batch at least: who asks has a worker that will soon need samples. A
// lone region has nobody to end together with, and gets whole rounds.
//
//	share = rate / sum of the rates
//	stock + n = share * free - n, so n = (share * free - stock) / 2
func (g *GPS) fair(name string) uint64 {
	c, batch := g.clients[name], uint64(g.batch)
	share := g.share(c)
	spare := share*float64(g.ledger.free.Len()) - float64(c.stock)
	if c.rate == 0 {
		spare /= 2 // it may be slow
	}
	n := uint64(max(0, spare/2))
	if n > g.round || share == 1 {
		n = max(n-n%g.round, g.round)
	}
	n = min(n, c.asks)
	return max(n-n%batch, batch)
}

// share is the part of the job's local steps that a connected region takes: an equal
// one as long as nobody's rate is known.
func (g *GPS) share(c *client) float64 {
	sum, mean := g.rates()
	if sum == 0 {
		live := 0
		for _, other := range g.clients {
			if other.live {
				live++
			}
		}
		return 1 / float64(live)
	}
	rate := c.rate
	if rate == 0 {
		rate = mean
	}
	return rate / sum
}

// ahead counts the samples that the regions but one have in stock: their indices are
// gone, but the job is not as far yet. Stocks are small before a region has a rate.
func (g *GPS) ahead(but string) uint64 {
	var n uint64
	for name, c := range g.clients {
		if name != but && c.rate > 0 {
			n += min(c.stock, g.ledger.leased[name].Len())
		}
	}
	return n
}
