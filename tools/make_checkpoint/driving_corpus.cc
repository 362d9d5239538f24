#include "tools/make_checkpoint/driving_corpus.h"

namespace automot::model {

// The prompt and the decision labels as the model sees them, then questions and answers about
// traffic.
std::string_view DrivingCorpus() {
  return R"(system
You are a mature and professional driver.
user
assistant
Your current and next target point is (12.345678, -3.217654), (48.112233, 5.554433), and your current velocity is 7.31 m/s. Predict the driving actions ( now, +1s, +2s) and plan the trajectory for the next 3 seconds.
 stop, accelerate, stop
 keep, keep, slow
 accelerate, accelerate, keep
 slow, stop, stop
 keep, accelerate, accelerate
 stop, stop, accelerate
 slow, slow, keep
 decelerate, constant, decelerate
 turn left, slight left, go straight, slight right, turn right
The ego vehicle is driving on a road with two lanes in each direction. The road is dry and the sky is clear.
What should the driver do now? The driver should slow down because a pedestrian is crossing the street ahead.
Why does the car stop? The traffic light is red, so the car must stop before the line and wait until it turns green.
Is it safe to change lanes? No, another vehicle is approaching from behind in the left lane. Keep the lane and keep a safe distance.
Describe the scene. There is a truck in front of us, a cyclist on the right side, and a parked van near the intersection.
Which objects are important for the next action? The bus ahead is braking, and a person is waiting at the crosswalk.
How fast may we drive here? The speed limit is 50 km/h. Our speed is 8.5 m/s, so we may accelerate gently.
What will the car in front do? It will probably merge into our lane, so we should yield and let it pass.
At the next junction turn right and follow the route. After the roundabout go straight for 300 meters.
The construction zone closes the right lane. Move to the left lane when there is a gap, then return.
An emergency vehicle with a siren is coming from behind. Slow down, pull over to the right and stop.
The highway entrance ramp is short. Accelerate to the speed of the traffic and merge smoothly.
It is night and it rains; the visibility is low and the surface is wet. Reduce the speed and increase the distance.
A child runs after a ball between parked cars. Brake hard and stop immediately.
The stop sign is visible. Come to a full stop, look left and right, and continue when the way is free.
The lane markings are faded but the curb is visible. Stay in the center of the lane.
Oncoming traffic blocks the left turn. Wait behind the line, then turn left when it is clear.
The lead vehicle accelerates and the gap grows. Follow it with a constant time headway of two seconds.
Yes, the path is free. No, the path is blocked by an accident. Unknown, the camera does not show it.
camera lidar image frame sensor position heading steering throttle brake trajectory waypoint route lateral longitudinal
front rear left right ahead behind near far north south east west metres seconds kilometers per hour
)";
}

}  // namespace automot::model
