use super::*;

fn holder(rank: Rank) -> Holder {
    Holder { rank, job: None, wanted: CancellationToken::new() }
}

#[tokio::test]
async fn who_looks_sits_beside_a_drill_and_beside_nobody_else() {
    let blog: AppName = "blog".parse().unwrap();
    for (rank, sits) in [
        (Some(Rank::OwnDrill), true),
        (Some(Rank::Drill), true),
        (Some(Rank::Look), false),
        (Some(Rank::Chore), false),
        (Some(Rank::Change), false),
        (None, false),
    ] {
        let queue = Queue::default();
        let holder = rank.map(holder);
        let wanted = holder.as_ref().map(|holder| holder.wanted.clone());
        holder.into_iter().for_each(|holder| assert!(queue.enter(&blog, holder)));
        let place = queue.beside_drill(&blog);
        assert_eq!(place.is_some(), sits, "{rank:?}");
        assert_eq!(queue.is_looked_at(), sits, "{rank:?}");
        assert!(queue.beside_drill(&blog).is_none(), "there is one place");
        assert!(!wanted.is_some_and(|wanted| wanted.is_cancelled()), "{rank:?} is left alone");
        drop(place);
        assert!(!queue.is_looked_at());
    }
}

#[tokio::test]
async fn only_who_changes_something_ends_a_drill() {
    let blog: AppName = "blog".parse().unwrap();
    for (rank, ends) in [(Rank::Drill, false), (Rank::Chore, true), (Rank::Change, true)] {
        let queue = Queue::default();
        let drill = holder(Rank::Drill);
        let wanted = drill.wanted.clone();
        assert!(queue.enter(&blog, drill));
        queue.want(&blog, rank);
        assert_eq!(wanted.is_cancelled(), ends, "{rank:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_closes_when_nobody_is_in_it_and_opens_again_after_waiting_in_vain() {
    let queue = Queue::default();
    let (blog, shop): (AppName, AppName) = ("blog".parse().unwrap(), "shop".parse().unwrap());
    let drill = holder(Rank::Drill);
    let wanted = drill.wanted.clone();
    assert!(queue.enter(&blog, drill) && queue.enter(&shop, holder(Rank::Change)));
    assert!(!queue.close_when_idle(Duration::from_secs(3)).await);
    assert!(wanted.is_cancelled(), "a drill gives way");
    let closing = queue.close_when_idle(Duration::from_secs(60));
    let leaving = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!queue.enter(&"late".parse().unwrap(), holder(Rank::Change)), "it was closed");
        queue.holders.lock().unwrap().clear();
    };
    assert!(tokio::join!(closing, leaving).0);
    assert!(!queue.enter(&blog, holder(Rank::Change)), "it stays closed");
}
